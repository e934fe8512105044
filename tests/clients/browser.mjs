// Debian's Chromium with phones in it, driven through standard input: one JSON command per line, {"id", "do", ...}, one
// reply per line, {"id", "ok"} or {"id", "error"}. One browser for all stories; each phone is a context of its own, with
// its own cookies, storage and worker.
//
// A phone notes what must never happen in any story: what its content policy forbids, errors of the page, and requests
// to any origin but its own.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { createInterface } from "node:readline";
import tls from "node:tls";

// Otherwise requests of service workers are not seen.
process.env.PW_EXPERIMENTAL_SERVICE_WORKER_NETWORK_EVENTS = "1";
const { chromium } = await import("playwright-core");

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = Number(process.env.PATIENCE_MS ?? 30_000);
const FIXTURES = new URL("../fixtures/tls/", import.meta.url);
const phones = new Map();
const fronts = new Map();
let browser = null;

const launch = () => {
  browser ??= chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--no-sandbox", // tests may run as root, where Chromium has none
      // Public names lead here, and the certificate of the tests is theirs.
      "--host-resolver-rules=MAP *.maestro.test 127.0.0.1",
      "--ignore-certificate-errors",
      "--disable-dev-shm-usage",
    ],
  });
  return browser;
};

/** Cloudflare's TLS: what comes is passed on in plain to the edge that the test plays. */
async function front({ to }) {
  const pair = { key: readFileSync(new URL("server.key.pem", FIXTURES)), cert: readFileSync(new URL("server.pem", FIXTURES)) };
  const line = { up: true, visitors: new Set() };
  const server = tls.createServer(pair, (visitor) => {
    if (!line.up) return visitor.destroy();
    line.visitors.add(visitor);
    visitor.on("close", () => line.visitors.delete(visitor));
    const edge = net.connect(to, "127.0.0.1");
    const end = () => {
      visitor.destroy();
      edge.destroy();
    };
    for (const side of [visitor, edge]) side.on("error", end).on("close", end);
    visitor.pipe(edge).pipe(visitor);
  });
  server.on("tlsClientError", () => {});
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  fronts.set(port, line);
  return port;
}

/** The network between phones and Cloudflare: what runs over it is cut, and nothing new gets through until it is up. */
function line({ port, up }) {
  const front = fronts.get(port);
  front.up = up;
  if (!up) for (const visitor of front.visitors) visitor.destroy();
}

async function phone({ phone: name, origin, scheme = "light", width = 390, height = 844, agent }) {
  const context = await (await launch()).newContext({
    viewport: { width, height },
    deviceScaleFactor: 1,
    isMobile: true,
    hasTouch: true,
    colorScheme: scheme,
    reducedMotion: "reduce",
    ...(agent ? { userAgent: agent } : {}),
  });
  context.setDefaultTimeout(PATIENCE);
  await context.grantPermissions(["notifications"], { origin });
  const problems = [];
  const note = (what) => problems.length < 50 && problems.push(what);
  const own = (url) => /^(data|blob):/.test(url) || new URL(url).host === new URL(origin).host;
  context.on("request", (request) => own(request.url()) || note(`asked elsewhere: ${request.url()}`));
  context.on("weberror", (error) => note(`error: ${error.error()}`));
  context.on("console", (message) => {
    const text = message.text();
    if (/content security policy|violates the following/i.test(text)) note(`policy: ${text}`);
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  const refused = [];
  context.on("response", (response) => response.status() === 401 && refused.push(new URL(response.url()).pathname));
  const page = await context.newPage();
  page.on("websocket", (socket) => own(socket.url()) || note(`asked elsewhere: ${socket.url()}`));
  phones.set(name, { context, page, origin, problems, refused });
}

/** Something that is seen: by its role and name, or by its text. */
const named = (page, name) =>
  ["button", "link", "radio", "switch", "checkbox"]
    .map((role) => page.getByRole(role, { name, disabled: false }))
    .reduce((all, one) => all.or(one))
    .filter({ visible: true })
    .first();
const shown = (page, text) => page.getByText(text).filter({ visible: true }).first();

/** Interactive things that a finger would miss: none of 44 px around their middle, unless in running text. */
const tooSmall = () => {
  const missed = [];
  const reach = 21.5;
  for (const element of document.querySelectorAll("a[href], button, select, textarea, input, summary")) {
    const target = (element.matches("input[type=radio], input[type=checkbox]") && element.closest("label")) || element;
    if (element.disabled || element.matches("p a, .prose a, li > span a, dd a, .visually-hidden")) continue;
    if (!target.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
    target.scrollIntoView({ block: "center" });
    const box = target.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) continue;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const hit = (dx, dy) => {
      const [px, py] = [x + dx, y + dy];
      if (px < 0 || py < 0 || px >= innerWidth || py >= innerHeight) return true;
      const there = document.elementFromPoint(px, py);
      return there !== null && (target.contains(there) || there.closest("label")?.control === element);
    };
    const ok = hit(reach, 0) && hit(-reach, 0) && hit(0, reach) && hit(0, -reach);
    if (!ok) missed.push(`${element.tagName.toLowerCase()}.${element.className} "${element.textContent.trim().slice(0, 40)}" ${Math.round(box.width)}x${Math.round(box.height)}`);
  }
  return missed;
};

/** What sticks out to the right. */
const tooWide = () => {
  const wide = [];
  const screen = document.documentElement;
  if (screen.scrollWidth > innerWidth) wide.push(`page ${screen.scrollWidth} > ${innerWidth}`);
  for (const element of document.querySelectorAll("body *")) {
    const overflow = getComputedStyle(element).overflowX;
    const box = element.getBoundingClientRect();
    if (box.width > 0 && overflow !== "auto" && overflow !== "scroll" && box.right > innerWidth + 1 && !element.closest("pre, .visually-hidden")) {
      wide.push(`${element.tagName.toLowerCase()}.${element.className} ${Math.round(box.right)}`);
    }
    if ((overflow === "auto" || overflow === "scroll") && element.scrollWidth > element.clientWidth + 1 && !element.matches("pre, pre *, .wide")) {
      wide.push(`${element.tagName.toLowerCase()}.${element.className} scrolls sideways`);
    }
  }
  return wide.slice(0, 10);
};

const deeds = {
  front,
  line,
  phone,
  async open({ page, origin, path }) {
    await page.goto(origin + path, { waitUntil: "domcontentloaded" });
  },
  async reload({ page }) {
    await page.reload({ waitUntil: "domcontentloaded" });
  },
  async tap({ page, name }) {
    await named(page, name).tap();
  },
  async see({ page, text }) {
    await shown(page, text).waitFor();
  },
  async gone({ page, text }) {
    await page.waitForFunction(
      (gone) => !document.body.innerText.includes(gone),
      text,
      { polling: 50 },
    );
  },
  async write({ page, label, text }) {
    await page.getByLabel(label, { exact: false }).filter({ visible: true }).first().fill(text);
  },
  async choose({ page, label, option }) {
    await page.getByLabel(label).filter({ visible: true }).first().selectOption({ label: option });
  },
  async text({ page }) {
    return page.evaluate(() => document.body.innerText);
  },
  async has({ page, name }) {
    return (await named(page, name).count()) > 0;
  },
  async address({ page }) {
    return page.evaluate(() => location.pathname + location.hash);
  },
  async run({ page, code }) {
    return page.evaluate(code);
  },
  async offline({ context, offline }) {
    await context.setOffline(offline);
  },
  async look({ page, width, height, scheme }) {
    if (width) await page.setViewportSize({ width, height });
    if (scheme) await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  },
  /** A worker is there and takes pushes. */
  async worker({ page }) {
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => null));
  },
  /** What the push service delivered, given to the worker as the browser would, all at once; until it is dealt with.
   * Looking for notifications any earlier makes Chromium forget those that it is about to show; the worker may not either,
   * so none is shown until all have come. */
  async push({ context, page, origin, payloads }) {
    const cdp = await context.newCDPSession(page);
    const registered = new Promise((resolve) => {
      cdp.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
        const known = registrations.find((one) => one.scopeURL.startsWith(origin) && !one.isDeleted);
        if (known) resolve(known.registrationId);
      });
    });
    await cdp.send("ServiceWorker.enable");
    const registrationId = await registered;
    const [worker] = context.serviceWorkers();
    await worker.evaluate((count) => {
      self.dealtWith = new Promise((resolve, reject) => {
        const works = [];
        let allCome;
        const all = new Promise((come) => {
          allCome = come;
        });
        let shown = 0;
        let showing = 0;
        const here = ServiceWorkerRegistration.prototype;
        const { showNotification, getNotifications } = here;
        here.showNotification = async function (...what) {
          showing += 1;
          await all;
          await showNotification.apply(this, what);
          showing -= 1;
          shown += 1;
          if (shown === count) Object.assign(here, { showNotification, getNotifications });
        };
        here.getNotifications = function (...which) {
          if (showing > 0) reject(new Error("the worker looks at notifications while one is being shown"));
          return getNotifications.apply(this, which);
        };
        const promised = ExtendableEvent.prototype;
        const { waitUntil } = promised;
        promised.waitUntil = function (work) {
          waitUntil.call(this, work);
          if (this.type !== "push" || works.push(work) < count) return;
          promised.waitUntil = waitUntil;
          allCome();
          Promise.all(works).then(resolve, reject);
        };
      });
    }, payloads.length);
    for (const payload of payloads) {
      await cdp.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data: JSON.stringify(payload) });
    }
    await worker.evaluate(() => self.dealtWith.then(() => null));
    await cdp.detach();
  },
  /** The notifications that are to be seen now. */
  async tray({ page }) {
    return page.evaluate(async () => {
      const all = await (await navigator.serviceWorker.ready).getNotifications();
      return all.map(({ title, body, tag, silent, data }) => ({ title, body, tag, silent, url: data?.url }));
    });
  },
  /** A finger on a notification. */
  async tapped({ context, tag }) {
    const [worker] = context.serviceWorkers();
    await worker.evaluate(async (tag) => {
      const [notification] = await registration.getNotifications({ tag });
      // Made here, so it may not be waited with; what it leads to happens all the same.
      const event = new NotificationEvent("notificationclick", { notification });
      event.waitUntil = () => {};
      self.dispatchEvent(event);
    }, tag);
  },
  /** What axe finds, if it is serious. */
  async axe({ page }) {
    await page.evaluate(AXE);
    return page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
    });
  },
  async small({ page }) {
    return page.evaluate(tooSmall);
  },
  async wide({ page }) {
    return page.evaluate(tooWide);
  },
  /** From now on the page's clock can be moved; it goes on by itself all the same. */
  async clock({ page }) {
    await page.clock.install();
  },
  /** So much time passes for the page at once, in ms. */
  async later({ page, ms }) {
    await page.clock.fastForward(ms);
  },
  /** Paths that the hub did not answer, for want of a paired device. */
  async refused({ refused }) {
    return refused;
  },
  async problems({ problems }) {
    return problems;
  },
  async picture({ page, file }) {
    await page.screenshot({ path: file });
  },
  async close({ phone, context }) {
    phones.delete(phone);
    await context.close();
  },
};

const reply = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, do: deed, ...rest } = JSON.parse(line);
    try {
      const at = phones.get(rest.phone);
      const given = { ...rest, ...at };
      if (!at && !["phone", "front", "line"].includes(deed)) throw new Error(`there is no phone ${rest.phone}`);
      reply({ id, ok: (await deeds[deed](given)) ?? null });
    } catch (error) {
      const at = phones.get(rest.phone);
      const screen = await at?.page.evaluate(() => document.body?.innerText ?? "").catch(() => "");
      reply({ id, error: `${deed} ${JSON.stringify(rest)}: ${error.message}`, screen });
    }
  })
  .on("close", async () => {
    await (await browser)?.close().catch(() => {});
    process.exit(0);
  });
