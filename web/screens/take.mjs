// Takes a picture of every screen and state, from a real hub: `make screens`.
//
//   node screens/take.mjs [DIR]      default: ../docs/screens

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Stage, scene } from "./stage.mjs";

const OUT = process.argv[2] ?? fileURLToPath(new URL("../../docs/screens", import.meta.url));
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const SMALL = { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true };
const DESK = { viewport: { width: 1280, height: 820 } };

mkdirSync(OUT, { recursive: true });
const stage = await Stage.open();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const troubles = [];

/** A browser of its own, as one device has it. */
async function open(shape, colorScheme = "light") {
  const context = await browser.newContext({ ...shape, colorScheme, reducedMotion: "reduce", locale: "en-GB" });
  const page = await context.newPage();
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection|ERR_/.test(text))
      troubles.push(text);
  });
  page.on("pageerror", (error) => troubles.push(String(error)));
  return page;
}

/** A paired phone, looking at its sessions. */
async function paired(shape, colorScheme, name = "iPhone of Anna", scopes) {
  const page = await open(shape, colorScheme);
  await page.goto(`${stage.url}/pair/${stage.code(scopes)}`);
  await page.getByLabel("Name of this device").fill(name);
  await page.getByRole("button", { name: "Pair this phone" }).click();
  await seen(page.getByRole("heading", { name: "Sessions" }));
  await seen(page.getByText("Live, as of"));
  return page;
}

async function shot(page, name) {
  await page.screenshot({ path: join(OUT, `${name}.png`), animations: "disabled", caret: "hide" });
  console.log(name);
}

/** Waits until this can be seen; what a hidden pane has is passed over. */
const seen = (locator, options) => locator.filter({ visible: true }).first().waitFor(options);

async function go(page, hash, ready) {
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
  await seen(ready);
}

/** In the page: says that this browser has a subscription, which a browser without a push service cannot have. */
async function subscribe(method) {
  const half = await new Promise((resolve, reject) => {
    const opening = indexedDB.open("maestro", 1);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const asked = opening.result.transaction("device").objectStore("device").get("token");
      asked.onsuccess = () => resolve(asked.result);
    };
  });
  const keys = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  const text = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const body = {
    subscription: {
      endpoint: "https://fcm.googleapis.com/fcm/send/scene",
      keys: {
        p256dh: text(await crypto.subtle.exportKey("raw", keys.publicKey)),
        auth: text(crypto.getRandomValues(new Uint8Array(16))),
      },
    },
    privacy: "names",
    kinds: { needsInput: true, failed: true, finished: false, mail: true, devices: true },
  };
  const answer = await fetch("/api/devices/me/push", {
    method,
    headers: { "x-maestro-device": half, "content-type": "application/json" },
    ...(method === "PUT" ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
}

try {
  const stranger = await open(PHONE);
  await stranger.goto(`${stage.url}/pair/${stage.code()}`);
  await seen(stranger.getByRole("button", { name: "Pair this phone" }));
  await shot(stranger, "pair");
  await stranger.getByLabel("Code").fill("WRNG-CODE");
  await stranger.getByRole("button", { name: "Pair this phone" }).click();
  await seen(stranger.getByRole("alert").filter({ hasText: /./ }));
  await shot(stranger, "pair-wrong");

  const empty = await paired(PHONE, "light", "iPhone");
  await seen(empty.getByText("No sessions yet"));
  await shot(empty, "sessions-empty");
  await empty.context().close();

  const it = await scene(stage);
  const phone = await paired(PHONE, "light");
  await seen(phone.getByText("Review of the ledger"));
  await shot(phone, "sessions");
  const dark = await paired(PHONE, "dark", "Pixel of Ben");
  await seen(dark.getByText("Review of the ledger"));
  await shot(dark, "sessions-dark");

  await go(phone, `#/session/${it.review.id}`, phone.getByRole("button", { name: "Send answer" }));
  await phone.getByText("Yes, run it").click();
  await shot(phone, "question");
  await go(dark, `#/session/${it.review.id}`, dark.getByRole("button", { name: "Send answer" }));
  await shot(dark, "question-dark");
  await phone.getByRole("button", { name: "Send answer" }).click();
  await seen(phone.getByText(/^(Delivered|Queued): /));
  await shot(phone, "answered");
  await seen(dark.getByText("Answered by iPhone of Anna"));
  await shot(dark, "answered-elsewhere");

  await go(phone, `#/session/${it.lead.id}`, phone.getByText("Staging copy migrated"));
  await shot(phone, "session");
  await go(dark, `#/session/${it.lead.id}`, dark.getByText("Staging copy migrated"));
  await shot(dark, "session-dark");
  await go(phone, `#/session/${it.crashed.id}`, phone.getByText("Its agent is gone"));
  await shot(phone, "session-failed");
  await go(phone, "#/mail", phone.getByText("Old invoice numbers"));
  await shot(phone, "mail");
  await phone.getByText("Old invoice numbers").first().click();
  await seen(phone.getByText("The statements of March"));
  await shot(phone, "thread");
  await go(phone, `#/write?project=${it.atlas.id}`, phone.getByLabel("Message"));
  await phone.getByLabel("To", { exact: true }).selectOption({ label: "The team of Ledger migration" });
  await phone.getByLabel("Message").fill("Please stop at five. Deploys are frozen until Monday.");
  await shot(phone, "write");
  await go(phone, "#/start", phone.getByText("In which project?"));
  await shot(phone, "start-project");
  await phone.getByRole("button", { name: /Atlas API/ }).click();
  await seen(phone.getByText("Ada"));
  await shot(phone, "start-member");
  await phone.getByRole("button", { name: /Ada/ }).click();
  await phone.getByLabel("Task", { exact: true }).selectOption({ label: "Rate limits per customer" });
  await phone.getByLabel(/First message/).fill("Begin with the public endpoints.");
  await shot(phone, "start-words");
  await phone.getByRole("button", { name: "Continue" }).click();
  await seen(phone.getByText("Start Ada?"));
  await shot(phone, "start-confirm");
  await phone.getByRole("button", { name: "Start", exact: true }).click();
  await seen(phone.getByText("Starting"));
  await shot(phone, "started");
  await go(phone, `#/tasks?project=${it.atlas.id}`, phone.getByText("Move invoices to the new ledger"));
  await phone.getByText("Move invoices to the new ledger").click();
  await shot(phone, "tasks");
  await go(phone, "#/settings", phone.getByText("iPhone of Anna"));
  await shot(phone, "settings");
  await go(dark, "#/settings", dark.getByText("Pixel of Ben"));
  await shot(dark, "settings-dark");

  await phone.getByRole("button", { name: "Turn on notifications" }).scrollIntoViewIfNeeded();
  await shot(phone, "notifications-off");
  await phone.evaluate(subscribe, "PUT");
  await go(phone, "#/tasks", phone.getByText("Upgrade the payment library"));
  await go(phone, "#/settings", phone.getByText("On the lock screen they say"));
  await phone.getByRole("button", { name: "Send a test" }).scrollIntoViewIfNeeded();
  await shot(phone, "notifications");
  // Nothing is to be sent to a service that is not there.
  await phone.evaluate(subscribe, "DELETE");

  const viewer = await paired(PHONE, "light", "Tablet in the hall", "view");
  await go(viewer, `#/session/${it.landing.id}`, viewer.getByText("This phone may look, not answer."));
  await shot(viewer, "view-only");
  await viewer.context().close();

  const small = await paired(SMALL, "light", "Old phone");
  await seen(small.getByText("Landing page"));
  await shot(small, "small-sessions");
  await go(small, `#/session/${it.landing.id}`, small.getByRole("button", { name: "Send answer" }));
  await shot(small, "small-question");
  await small.addStyleTag({ content: "" }).catch(() => undefined);
  await small.evaluate(() => {
    document.documentElement.style.fontSize = "200%";
  });
  await shot(small, "small-large-text");
  await small.context().close();

  const desk = await paired(DESK, "light", "Laptop");
  await go(desk, `#/session/${it.landing.id}`, desk.getByRole("button", { name: "Send answer" }));
  await shot(desk, "desktop");
  const deskDark = await paired(DESK, "dark", "Desk");
  await go(deskDark, "#/mail", deskDark.getByText("Old invoice numbers"));
  await deskDark.getByText("Old invoice numbers").first().click();
  await seen(deskDark.getByText("The statements of March"));
  await shot(deskDark, "desktop-dark");
  await desk.context().close();
  await deskDark.context().close();

  const home = await open(DESK, "light");
  await home.goto(`${stage.home}/`);
  await seen(home.getByText("Live, as of"));
  await shot(home, "desktop-at-home");
  await home.context().close();

  // What can go wrong, each with its own words.
  await go(phone, "#/", phone.getByText("Landing page"));
  await phone.context().setOffline(true);
  stage.setTunnel("down"); // Chromium's switch leaves open sockets alone.
  await seen(phone.getByText("This phone is offline"), { timeout: 30_000 });
  await shot(phone, "offline");
  await go(phone, `#/session/${it.landing.id}`, phone.getByText("Calm"));
  await phone.getByText("Calm").click();
  await phone.getByRole("button", { name: "Send when connected" }).click();
  await seen(phone.getByText("Waiting for a connection, for a minute"));
  await shot(phone, "offline-answer");
  stage.setTunnel("up");
  await phone.context().setOffline(false);
  await seen(phone.getByText("Answered by you"), { timeout: 30_000 });
  await go(phone, "#/", phone.getByText("Landing page"));
  stage.setTunnel("down");
  await seen(phone.getByText("The tunnel is down"), { timeout: 60_000 });
  await shot(phone, "tunnel-down");
  stage.setTunnel("up");
  await seen(phone.getByText("Live, as of"), { timeout: 60_000 });
  await stage.stop();
  await seen(phone.getByText("The hub does not answer"), { timeout: 60_000 });
  await shot(phone, "hub-down");
  await stage.start();
  await seen(phone.getByText("Live, as of"), { timeout: 60_000 });
  stage.ctl("devices", "revoke", "--all");
  await seen(phone.getByText("This device was revoked"), { timeout: 30_000 });
  await shot(phone, "revoked");
} finally {
  await browser.close();
  await stage.close();
}
if (troubles.length > 0) {
  console.error("The page complained:", troubles);
  process.exit(1);
}
