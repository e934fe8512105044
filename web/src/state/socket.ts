/** The live connection: kept up, brought back as soon as there is a reason to, and brought up to date after each gap. */

import { batch } from "@preact/signals";
import type { Socket } from "socket.io-client";
import { asRefusal, isOver } from "../model/link";
import type { Ack, Hello, HubEvent, Missed, Scope, Snapshot } from "../model/wire";
import { apply, NOTHING, reset, seen } from "../model/world";
import { LOCAL } from "../net/door";
import { whyNot } from "../net/http";
import { forgetAll, saveDevice } from "../net/keep";
import { forget, token } from "../net/token";
import { device, facts, heard, hello, know, now, outbox, paired, route, scopes, world } from "./store";

/** Two of the hub's pings: who heard nothing for so long has no connection, whatever the browser says. */
const DEAF = 50_000;
/** Longest wait for an acknowledgement; the hub gives up after 20 s. */
const PATIENCE = 25_000;
/** A sign of life right after waking. */
const PROOF = 4_000;
/** How often agents' signs of life are looked at while somebody looks. */
const GLANCE = 20_000;

let socket: Socket | null = null;
/** Events that come while what was missed is still on its way. */
let held: HubEvent[] | null = null;
let probing = false;
const onSynced = new Set<() => void>();
const onLost = new Set<() => void>();

/** Calls `act` whenever everything up to now is here. */
export const whenSynced = (act: () => void) => onSynced.add(act);
/** Calls `act` whenever the connection ends. */
export const whenLost = (act: () => void) => onLost.add(act);

/** Asks for something; the acknowledgement, or null if there was none in time. */
export async function request<T>(verb: string, data: unknown, patience = PATIENCE): Promise<Ack<T> | null> {
  if (!socket?.connected) return null;
  try {
    const ack: unknown = await socket.timeout(patience).emitWithAck(verb, data);
    heard.value = Date.now();
    return ack as Ack<T>;
  } catch {
    return null;
  }
}

/** Begins, if this device has something to show. */
export async function connect() {
  const half = LOCAL ? null : await token();
  paired.value = LOCAL || half !== null;
  if (!paired.value) return;
  know({ refusal: null, downSince: Date.now() });
  // Apart from the rest, so that what is known already is seen before it is read.
  const { io } = await import("socket.io-client");
  socket?.removeAllListeners();
  socket?.disconnect();
  const made = io("/mobile", {
    path: "/socket.io/",
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    forceNew: true,
    timeout: 10_000,
    reconnectionDelay: 400,
    reconnectionDelayMax: 8_000,
    // Read anew at each handshake.
    auth: (give) => {
      void token().then((current) => give({ projects: "all", ...(current ? { token: current } : {}) }));
    },
  });
  socket = made;
  made.on("connect", () => void arrived());
  made.on("disconnect", (why) => gone(why));
  made.on("connect_error", (error) => refused(error.message));
  made.on("hello", greeted);
  made.on("device:changed", changed);
  made.on("disconnect:reason", (said: { code?: string }) => turnedAway(said?.code));
  made.on("state:reset", () => void sync());
  made.io.on("ping", () => {
    heard.value = Date.now();
  });
  made.onAny((_name, event: unknown) => {
    heard.value = Date.now();
    if (isEvent(event)) take(event);
  });
}

function isEvent(value: unknown): value is HubEvent {
  return typeof value === "object" && value !== null && "seq" in value && "event" in value;
}

function greeted(said: Hello) {
  hello.value = said;
  know({ trial: LOCAL ? null : (said.trial ?? null) });
  changed({ ...said.device, scopes: said.scopes });
}

function changed(said: { name?: string; scopes?: Scope[]; projects?: string[]; id?: string }) {
  const before = scopes.peek();
  batch(() => {
    device.value = { ...device.peek(), ...said };
    if (said.scopes) scopes.value = said.scopes;
  });
  const { id = null, name = "" } = device.peek() ?? {};
  saveDevice({ id, name, scopes: scopes.peek(), trial: facts.peek().trial });
  // Other scopes and projects are another world.
  if (facts.peek().synced && before.join() !== scopes.peek().join()) void sync(true);
}

async function arrived() {
  held = [];
  heard.value = Date.now();
  know({ connected: true, synced: false, probe: null, refusal: null });
  focus();
  await sync();
}

function gone(why: string) {
  held = null;
  know({ connected: false, synced: false, downSince: Date.now(), probe: null });
  for (const act of onLost) act();
  // The library comes back by itself unless it was the hub that ended it.
  if (why === "io server disconnect" && !facts.peek().refusal) setTimeout(() => socket?.connect(), 1_000);
  setTimeout(() => void diagnose(), 1_500);
}

function refused(code: string) {
  if (asRefusal(code)) return turnedAway(code);
  if (facts.peek().downSince === null) know({ downSince: Date.now() });
  void diagnose();
  // A refusal by the namespace ends the library's own attempts.
  if (socket && !socket.active) setTimeout(() => socket?.connect(), 3_000);
}

/** The hub says that this device may not be here; what it knew goes with it. */
export function turnedAway(code: unknown) {
  const refusal = asRefusal(code);
  if (!refusal) return;
  know({ refusal, connected: false, synced: false });
  if (isOver(refusal)) {
    void leave();
  } else {
    setTimeout(() => socket?.connect(), 10_000);
  }
}

/** Nothing of the hub stays on this device. */
export async function leave() {
  socket?.disconnect();
  socket = null;
  forgetAll();
  await forget();
  batch(() => {
    world.value = NOTHING;
    outbox.value = [];
    scopes.value = [];
    device.value = null;
    hello.value = null;
    paired.value = false;
  });
}

/** Asks plainly what is wrong, while there is no connection. */
async function diagnose() {
  const asked = socket;
  // Who is not paired has nothing to ask for.
  if (!asked || probing || facts.peek().connected || facts.peek().refusal) return;
  probing = true;
  const { probe, refusal } = await whyNot(LOCAL);
  probing = false;
  // Of a pairing that was made meanwhile the answer says nothing.
  if (asked !== socket || facts.peek().connected) return;
  know({ probe });
  if (refusal) turnedAway(refusal);
}

function take(event: HubEvent) {
  if (held) held.push(event);
  else world.value = { ...apply(world.peek(), event), asOf: Date.now() };
}

let queue: Promise<unknown> = Promise.resolve();

/** Asks for what was missed, or `anew` for everything; one after the other. True if everything is here then. */
export function sync(anew = false): Promise<boolean> {
  const next = queue.then(() => catchUp(anew));
  queue = next;
  return next;
}

/** As often as there is more; live events wait until it is there. */
async function catchUp(anew: boolean): Promise<boolean> {
  const mine = socket;
  if (!mine?.connected) return false;
  held ??= [];
  let cursor = anew ? null : world.peek().cursor;
  for (;;) {
    const since = cursor ? { epoch: cursor.epoch, since: cursor.seq } : {};
    const ack = await request<Snapshot | Missed>("state:sync", since);
    if (mine !== socket || !mine.connected) return false;
    if (!ack?.success) {
      // Without it nothing can be trusted: from the beginning, but not at once, if the hub has said no.
      setTimeout(() => mine === socket && mine.disconnect().connect(), ack ? 3_000 : 0);
      return false;
    }
    if (ack.reset) {
      world.value = reset(world.peek(), ack, Date.now());
      break;
    }
    const told = ack.events.reduce(apply, world.peek());
    cursor = { epoch: ack.epoch, seq: ack.seq };
    world.value = { ...told, cursor, asOf: Date.now() };
    if (!ack.more) break;
  }
  const waiting = held ?? [];
  held = null;
  batch(() => {
    world.value = { ...waiting.reduce(apply, world.peek()), asOf: Date.now() };
    know({ synced: true, downSince: null, probe: null });
  });
  for (const act of onSynced) act();
  void glance();
  return true;
}

/** How the agents are: no event tells of silence. */
async function glance() {
  if (!scopes.peek().includes("view")) return;
  const ack = await request<{ agents: { sessionId: string; verdict: string; lastSeen: number | null }[] }>(
    "agents:list",
    {},
  );
  if (ack?.success) world.value = seen(world.peek(), ack.agents);
}

/** Says what this phone looks at: a notification of just that would be noise. */
export function focus() {
  if (!socket?.connected) return;
  const at = route.peek();
  const visible = document.visibilityState === "visible";
  socket
    .timeout(PATIENCE)
    .emit("focus", { sessionId: at.screen === "session" ? at.id : null, visible }, () => undefined);
}

/** There is a reason to look whether the connection still stands: the phone woke, came back, got a network. */
export async function wake() {
  now.value = Date.now();
  know({ online: navigator.onLine });
  if (!socket || facts.peek().refusal) return;
  const deaf = Date.now() - (heard.peek() ?? 0) > DEAF;
  if (socket.connected && !deaf) {
    focus();
    if (await lives()) return;
  }
  // Closed and opened anew: whoever slept cannot trust what the browser says of an old one.
  socket.disconnect().connect();
}

/** True if the connection answers, or is known to be gone: browsers tell of that late. */
async function lives(): Promise<boolean> {
  return (await request("agents:list", {}, PROOF)) !== null || !socket?.connected;
}

/** The phone says that it has no network: then the connection is not worth much. */
async function doubt() {
  know({ online: false });
  if (socket?.connected && !(await lives())) socket.disconnect().connect();
}

/** A real look, because somebody asked for it. */
export async function refresh(): Promise<void> {
  if (facts.peek().connected) await sync(true);
  else await wake();
}

/** Follows what the browser says of the page and the network. */
export function follow() {
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void wake();
    else focus();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) void wake();
  });
  window.addEventListener("online", () => void wake());
  window.addEventListener("offline", () => void doubt());
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    now.value = Date.now();
    if (!facts.peek().connected) void diagnose();
  }, 5_000);
  setInterval(() => {
    if (document.visibilityState === "visible" && facts.peek().synced) void glance();
  }, GLANCE);
}
