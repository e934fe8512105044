/** Notifications go when what they tell of is seen here, or over; and the number on the icon is true while the page is. */

import { effect } from "@preact/signals";
import { openRequest } from "../model/attention";
import { badge } from "../net/badge";
import { facts, route, sessions, world } from "./store";

/** What changes at once is looked at once. */
const SOON = 300;

export function keepTray() {
  if (!("serviceWorker" in navigator)) return;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const later = () => {
    if (timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      void tidy();
    }, SOON);
  };
  effect(() => {
    if (route.value && world.value && facts.value.synced) later();
  });
  document.addEventListener("visibilitychange", later);
}

async function tidy() {
  if (document.visibilityState !== "visible" || !facts.peek().synced) return;
  void badge(sessions.peek().filter((session) => openRequest(session) !== null).length);
  const registration = await navigator.serviceWorker.getRegistration();
  for (const notification of (await registration?.getNotifications()) ?? []) {
    if (isDone(notification)) notification.close();
  }
}

function isDone({ tag, data }: Notification): boolean {
  const at = route.peek();
  const [what, id] = [tag.slice(0, tag.indexOf(":")), tag.slice(tag.indexOf(":") + 1)];
  if (what === "mail") return at.screen === "thread" && at.id === id;
  if (what !== "session") return false;
  if (at.screen === "session" && at.id === id) return true;
  const request = (data as { request?: string } | null)?.request;
  const session = world.peek().sessions[id];
  return request !== undefined && (session === undefined || openRequest(session) !== request);
}
