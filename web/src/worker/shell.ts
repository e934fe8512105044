/** Keeps the page itself, so that it opens at once and can say what is wrong when nothing can be reached. No answer of
 * the API is ever kept here; the shell is that of one build, whole, and goes with it. */

import { worker } from "./scope";

declare const __BUILD__: string;
/** Paths of the build that the page is made of. */
declare const __SHELL__: string[];

const CACHE = `maestro-shell-${__BUILD__}`;
const PAGE = "/";

export function keepShell() {
  worker.addEventListener("install", (event) => event.waitUntil(fill()));
  worker.addEventListener("activate", (event) => event.waitUntil(tidy().then(() => worker.clients.claim())));
  worker.addEventListener("message", (event) => {
    if ((event.data as { type?: string } | null)?.type === "skipWaiting") void worker.skipWaiting();
  });
  worker.addEventListener("fetch", (event) => {
    const url = new URL(event.request.url);
    if (event.request.method !== "GET" || url.origin !== worker.location.origin) return;
    if (event.request.mode === "navigate") {
      // Pairing addresses are the hub's to answer: each has a manifest of its own.
      event.respondWith(url.pathname === PAGE ? page() : fetch(event.request).catch(() => page()));
    } else if (__SHELL__.includes(url.pathname)) {
      event.respondWith(kept(event.request));
    }
  });
}

/** All of it or none: half a shell is none. */
async function fill() {
  const cache = await caches.open(CACHE);
  const requests = [PAGE, ...__SHELL__].map(
    (path) => new Request(path, { cache: "no-cache", credentials: "same-origin" }),
  );
  await cache.addAll(requests);
  // The first worker of a device disturbs nobody.
  if (!worker.registration.active) await worker.skipWaiting();
}

async function tidy() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("maestro-shell-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function page(): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(PAGE)) ?? fetch(PAGE);
}

async function kept(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(new URL(request.url).pathname)) ?? fetch(request);
}
