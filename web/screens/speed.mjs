// How fast the page opens on a phone of the middle, over 4G: `make page-speed`. Chromium itself slows the processor and
// the network (DevTools protocol); the hub is real, the network below is loopback.
//
//   node screens/speed.mjs [RUNS]

import { cpus } from "node:os";
import { chromium } from "playwright-core";
import { Stage, scene } from "./stage.mjs";

const RUNS = Number(process.argv[2] ?? 5);
const CPU = 4;
const NETWORKS = [
  { name: "4G (9 Mbit/s, 170 ms)", down: 9_000_000, up: 9_000_000, latency: 170 },
  { name: "slow 4G (1.6 Mbit/s, 150 ms)", down: 1_600_000, up: 750_000, latency: 150 },
];
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, locale: "en-GB" };

const stage = await Stage.open();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

/** Opens `path` in this context, slowed; what it took until `ready` can be seen. */
async function measure(context, network, path, ready, live) {
  const page = await context.newPage();
  const wire = await context.newCDPSession(page);
  let bytes = 0;
  await wire.send("Network.enable");
  await wire.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: network.latency,
    downloadThroughput: network.down / 8,
    uploadThroughput: network.up / 8,
  });
  await wire.send("Emulation.setCPUThrottlingRate", { rate: CPU });
  wire.on("Network.loadingFinished", ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  const begin = performance.now();
  await page.goto(stage.url + path, { waitUntil: "commit" });
  await ready(page).first().waitFor();
  const usable = performance.now() - begin;
  let synced = null;
  if (live) {
    await live(page).first().waitFor();
    synced = performance.now() - begin;
  }
  const loaded = bytes;
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null);
  await page.close();
  return { paint, usable, synced, bytes: loaded };
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

function row(what, network, runs) {
  const of = (key) => {
    const found = runs.map((run) => run[key]).filter((value) => value !== null);
    return found.length ? Math.round(median(found)) : null;
  };
  const ms = (value) => (value === null ? "–" : `${value} ms`);
  const kb = `${(of("bytes") / 1000).toFixed(1)} kB`;
  console.log(`| ${what} | ${network.name} | ${ms(of("paint"))} | ${ms(of("usable"))} | ${ms(of("synced"))} | ${kb} |`);
}

try {
  await scene(stage);
  console.log(
    `Chromium ${browser.version()}, processor slowed ${CPU} times, ${cpus().length} cores, median of ${RUNS}.\n`,
  );
  console.log("| | network | first contentful paint | usable | all up to now is there | over the wire |");
  console.log("|---|---|---|---|---|---|");
  for (const network of NETWORKS) {
    const first = [];
    const again = [];
    for (let run = 0; run < RUNS; run++) {
      const context = await browser.newContext(PHONE);
      const code = stage.code();
      first.push(
        await measure(context, network, `/pair/${code}`, (page) =>
          page.getByRole("button", { name: "Pair this phone" }),
        ),
      );
      const page = await context.newPage();
      await page.goto(`${stage.url}/pair/${code}`);
      await page.getByRole("button", { name: "Pair this phone" }).click();
      await page.getByText("Live, as of").first().waitFor();
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      await page.close();
      const rows = (opened) => opened.getByText("Review of the ledger");
      const live = (opened) => opened.getByText("Live, as of");
      again.push(await measure(context, network, "/", rows, live));
      await context.close();
      stage.ctl("devices", "revoke", "--all");
    }
    row("first load, until it can be paired", network, first);
    row("opened again, until the sessions are seen", network, again);
  }
} finally {
  await browser.close();
  await stage.close();
}
