/** Notifications: shown, replaced and taken back, and where a tap on one leads. */

import { notice, type Pushed, read } from "../model/notice";
import { badge } from "../net/badge";
import { worker } from "./scope";

/** What is kept with a notification. */
interface Kept {
  url: string;
  request?: string;
  over: boolean;
}

export function showPushes() {
  worker.addEventListener("push", (event) => event.waitUntil(inTurn(() => show(parsed(event.data)))));
  worker.addEventListener("notificationclick", (event) => {
    event.notification.close();
    event.waitUntil(open((event.notification.data as Kept | null)?.url ?? "/#/"));
  });
}

let before = Promise.resolve();

/** One after the other. Whoever asks which notifications there are while another is being shown makes Chromium forget
 * the other: it stays on the screen, but a tap on it leads nowhere and nothing takes it back. */
function inTurn(show: () => Promise<void>): Promise<void> {
  const shown = before.then(show);
  before = shown.catch(() => undefined);
  return shown;
}

function parsed(data: PushMessageData | null): Pushed {
  try {
    return read(data?.json());
  } catch {
    return read(null);
  }
}

/** One notification of each session: a newer word takes the place of the older one. Browsers want one to be shown for
 * every push, so what is over is said quietly, and goes as soon as there is another to be seen. */
async function show(pushed: Pushed) {
  await badge(pushed.badge ?? 0);
  const here = worker.registration;
  const [before] = await here.getNotifications({ tag: pushed.tag });
  const kept = before?.data as Kept | undefined;
  if (pushed.kind === "answered" && before && kept?.request !== undefined && kept.request !== pushed.request) {
    // It comes late: a newer question stands there.
    await here.showNotification(before.title, {
      body: before.body,
      tag: before.tag,
      data: kept,
      silent: true,
      icon: ICON,
    });
    return;
  }
  const said = notice(pushed);
  const data: Kept = { url: said.url, over: said.quiet };
  if (pushed.request !== undefined) data.request = pushed.request;
  const options: NotificationOptions & { renotify?: boolean; timestamp?: number } = {
    body: said.body,
    tag: pushed.tag,
    data,
    icon: ICON,
    badge: BADGE,
    silent: said.quiet,
    renotify: !said.quiet,
  };
  if (pushed.at !== undefined) options.timestamp = pushed.at;
  await here.showNotification(said.title, options);
  const all = await here.getNotifications();
  const over = all.filter((shown) => (shown.data as Kept | null)?.over);
  if (over.length < all.length) for (const shown of over) shown.close();
}

const ICON = "/icons/icon-192.png";
const BADGE = "/icons/badge-96.png";

/** To the page that is open, else to a new one. The page reads the question anew: what the notification said may be over. */
async function open(url: string) {
  const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const [page] = pages;
  if (!page) {
    await worker.clients.openWindow(url);
    return;
  }
  page.postMessage({ type: "open", url });
  try {
    await page.focus();
  } catch {
    // Without a tap of a person nobody may take the screen.
  }
}
