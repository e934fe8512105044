/** Notifications, on the page's side: the hub's settings for this device, and the browser's subscription. */

import { ask, wordsOf } from "./http";

export const KINDS = ["needsInput", "failed", "finished", "mail", "devices"] as const;
export type Kind = (typeof KINDS)[number];
export type Privacy = "nothing" | "names" | "preview";

export interface Subscription {
  service: string;
  privacy: Privacy;
  kinds: Record<Kind, boolean>;
  since: number;
  last: { at: number; outcome: string } | null;
  stopped: { since: number; reason: string } | null;
}

export interface Settings {
  publicKey: string;
  subscription: Subscription | null;
}

const PATH = "/api/devices/me/push";

/** Why this browser cannot show notifications; null if it can. */
export function whyNot(): "unsupported" | "install" | "denied" | null {
  const isApple =
    /iPhone|iPad|iPod/.test(navigator.userAgent) || (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);
  const isInstalled = matchMedia("(display-mode: standalone)").matches;
  if (isApple && !isInstalled) return "install";
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window))
    return "unsupported";
  return Notification.permission === "denied" ? "denied" : null;
}

/** How it stands; null if the hub has no notifications. */
export async function settings(): Promise<Settings | null> {
  const answer = await ask("GET", PATH);
  return answer.ok && typeof answer.body?.["publicKey"] === "string" ? (answer.body as unknown as Settings) : null;
}

/** Asks the person, then the browser, then the hub. Begin it in a tap: browsers ask for one. Null if it is done. */
export async function enable(
  publicKey: string,
  privacy: Privacy,
  kinds: Record<Kind, boolean>,
): Promise<string | null> {
  if ((await Notification.requestPermission()) !== "granted") return "Notifications were not allowed.";
  // Whoever subscribes before the worker is active is refused.
  const registration = await navigator.serviceWorker.ready;
  try {
    const subscription = await subscribed(registration, publicKey);
    return await save(subscription, privacy, kinds);
  } catch (error) {
    return `The browser would not subscribe: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function subscribed(registration: ServiceWorkerRegistration, publicKey: string): Promise<PushSubscription> {
  const options = { userVisibleOnly: true, applicationServerKey: bytes(publicKey) };
  try {
    return await registration.pushManager.subscribe(options);
  } catch (error) {
    // One for another key is in the way.
    const old = await registration.pushManager.getSubscription();
    if (!old) throw error;
    await old.unsubscribe();
    return registration.pushManager.subscribe(options);
  }
}

async function save(subscription: PushSubscription, privacy: Privacy, kinds: Record<Kind, boolean>) {
  const { endpoint, keys } = subscription.toJSON();
  const answer = await ask("PUT", PATH, { subscription: { endpoint, keys }, privacy, kinds });
  return answer.ok ? null : wordsOf(answer);
}

/** Other choices for the subscription there is. */
export async function choose(privacy: Privacy, kinds: Record<Kind, boolean>): Promise<string | null> {
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  return subscription
    ? save(subscription, privacy, kinds)
    : "This browser has no subscription any more: turn it on again.";
}

/** The browser may have lost or exchanged its subscription while nobody looked: the hub hears of it at each start. */
export async function renew(): Promise<void> {
  if (whyNot() !== null || Notification.permission !== "granted") return;
  const known = await settings();
  if (!known?.subscription) return;
  const registration = await navigator.serviceWorker.ready;
  const subscription = await subscribed(registration, known.publicKey);
  await save(subscription, known.subscription.privacy, known.subscription.kinds);
}

export async function disable(): Promise<string | null> {
  const answer = await ask("DELETE", PATH);
  if (!answer.ok) return wordsOf(answer);
  const registration = await navigator.serviceWorker.getRegistration();
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  return null;
}

/** Sends one to this very device. Null if it is on its way. */
export async function test(): Promise<string | null> {
  const answer = await ask("POST", `${PATH}/test`, {});
  return answer.ok ? null : wordsOf(answer);
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const base64 = base64url.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
