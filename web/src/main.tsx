import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app";
import { parse } from "./model/route";
import { LOCAL } from "./net/door";
import { saveWorld } from "./net/keep";
import { renew } from "./net/push";
import { compare, install } from "./net/shell";
import { token } from "./net/token";
import { startSending } from "./state/send";
import { connect, focus, follow, wake, whenSynced } from "./state/socket";
import { hello, paired, route, world } from "./state/store";
import { keepTray } from "./state/tray";
import "./style/base.css";
import "./style/frame.css";
import "./style/rows.css";
import "./style/cards.css";
import "./style/forms.css";

/** How long what changed may wait to be kept. */
const KEEP_AFTER = 1_000;

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
  focus();
});

/** The keyboard of a phone covers the page without telling its layout: the page is as high as what can be seen. */
function fitToKeyboard() {
  const seen = window.visualViewport;
  if (!seen) return;
  const measure = () => {
    // Whoever enlarges the page by two fingers sees less of it, but it is as high as before.
    document.documentElement.style.setProperty("--seen", `${Math.round(seen.height * seen.scale)}px`);
    // An iPhone pushes the page up to make room for the keyboard; there is room already.
    if (seen.scale === 1) window.scrollTo(0, 0);
  };
  seen.addEventListener("resize", measure);
  measure();
}

function keepWorld() {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const keep = () => {
    if (timer) clearTimeout(timer);
    timer = null;
    if (paired.peek()) saveWorld(world.peek());
  };
  effect(() => {
    if (world.value.asOf !== null && timer === null) timer = setTimeout(keep, KEEP_AFTER);
  });
  window.addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") keep();
  });
}

async function begin() {
  paired.value = LOCAL || (await token()) !== null;
  // Whoever is paired already has no use for the code that the icon still starts with.
  if (paired.value && location.pathname !== "/") history.replaceState(null, "", `/${location.hash}`);
  const place = document.getElementById("app");
  if (!place) return;
  place.replaceChildren();
  render(<App />, place);
  fitToKeyboard();
  keepWorld();
  startSending();
  follow();
  await connect();
  effect(() => void compare(hello.value?.build));
  const registration = await install();
  if (registration) {
    keepTray();
    navigator.serviceWorker.addEventListener(
      "message",
      (event: MessageEvent<{ type?: string; url?: string } | null>) => {
        if (event.data?.type !== "open" || !event.data.url) return;
        const url = new URL(event.data.url, location.origin);
        if (url.origin === location.origin) location.hash = url.hash;
        void wake();
      },
    );
    let renewed = false;
    whenSynced(() => {
      if (!renewed) void renew().catch(() => undefined);
      renewed = true;
    });
  }
}

void begin();
