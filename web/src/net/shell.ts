/** The service worker: brought in, and exchanged for a new one once, never while somebody writes. */

import { BUILD, LOCAL } from "./door";

const TRIED = "maestro.build.tried";

let waiting: ServiceWorker | null = null;
let reloading = false;
/** A new worker has taken over while somebody wrote. */
let due = false;

/** True while something is typed that a reload would lose. */
function isWriting(): boolean {
  const fields = document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>("textarea, input[type=text]");
  return [...fields].some((field) => field.value !== field.defaultValue && field.value.trim() !== "");
}

/** Brings the worker in. On the hub's own machine there is none: it would stay when another server takes the port. */
export async function install(): Promise<ServiceWorkerRegistration | null> {
  if (LOCAL || !("serviceWorker" in navigator)) return null;
  const hadOne = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (hadOne) reload();
  });
  try {
    const registration = await navigator.serviceWorker.register("/sw.js", { updateViaCache: "none" });
    const look = () => {
      waiting = registration.waiting;
      takeUp();
    };
    registration.addEventListener("updatefound", () => {
      const coming = registration.installing;
      coming?.addEventListener("statechange", () => {
        if (coming.state === "installed" && navigator.serviceWorker.controller) look();
      });
    });
    if (registration.waiting && navigator.serviceWorker.controller) look();
    const later = () => setTimeout(() => (due ? reload() : takeUp()), 300);
    document.addEventListener("focusout", later);
    window.addEventListener("hashchange", later);
    return registration;
  } catch {
    return null; // The page works without; only notifications and starting offline do not.
  }
}

/** Lets a new worker take over when nobody is disturbed by it. */
function takeUp() {
  if (waiting && !isWriting()) waiting.postMessage({ type: "skipWaiting" });
}

function reload() {
  due = isWriting();
  if (reloading || due) return;
  reloading = true;
  location.reload();
}

/** The hub is of another build than this page: the page is fetched anew, once for each build. */
export async function compare(build: string | undefined) {
  if (!build || build === BUILD) return;
  if (sessionStorage.getItem(TRIED) === build) return;
  const registration = LOCAL ? undefined : await navigator.serviceWorker?.getRegistration();
  if (registration) {
    await registration.update().catch(() => undefined);
    if (registration.installing || registration.waiting) return; // It takes over by itself, and reloads.
  }
  if (isWriting()) return;
  sessionStorage.setItem(TRIED, build);
  reload();
}
