/** What the screens show. Changed by `state/*` only. */

import { computed, signal } from "@preact/signals";
import { truth as decide, type Facts } from "../model/link";
import { titleOf } from "../model/names";
import type { Outbox } from "../model/outbox";
import { parse, type Route } from "../model/route";
import { threads as gather, isUnread } from "../model/threads";
import type { Device, Hello, Scope, Session } from "../model/wire";
import type { World } from "../model/world";
import { LOCAL } from "../net/door";
import { loadDevice, loadOutbox, loadRead, loadWorld } from "../net/keep";

const remembered = loadDevice();

export const world = signal<World>(loadWorld());
export const outbox = signal<Outbox>(loadOutbox());
export const readAt = signal<Record<string, number>>(loadRead());
export const now = signal(Date.now());
export const route = signal<Route>(parse(location.hash));

/** What this device may do; what it could the last time, until the hub says so. */
export const scopes = signal<Scope[]>(
  LOCAL ? ["view", "answer", "mail", "prompt", "spawn", "admin"] : ((remembered?.scopes as Scope[] | undefined) ?? []),
);
export const device = signal<Partial<Device> | null>(
  remembered ? { name: remembered.name, ...(remembered.id ? { id: remembered.id } : {}) } : null,
);
export const hello = signal<Hello | null>(null);

/** Null until it is known whether this phone is paired. */
export const paired = signal<boolean | null>(LOCAL ? true : null);

export const facts = signal<Facts>({
  online: navigator.onLine,
  connected: false,
  synced: false,
  downSince: Date.now(),
  refusal: null,
  probe: null,
  trial: remembered?.trial ?? null,
  local: LOCAL,
});

export function know(change: Partial<Facts>) {
  const next = { ...facts.peek(), ...change };
  const same = (Object.keys(change) as (keyof Facts)[]).every((key) => facts.peek()[key] === next[key]);
  if (!same) facts.value = next;
}

/** When the hub was last heard of. */
export const heard = signal<number | null>(null);

export const truth = computed(() => decide(facts.value, now.value));

/** True while the lists are how things stand. */
export const live = computed(() => truth.value.kind === "live");

export const sessions = computed(() => Object.values(world.value.sessions));
export const threads = computed(() => gather(world.value.mails));
export const unread = computed(() => threads.value.filter((thread) => isUnread(thread, readAt.value)).length);

/** What a session is called. */
export const called = (session: Session) => titleOf(session, world.value.tasks);

export const may = (scope: Scope) => scopes.value.includes(scope);
