/** All that is known of the hub's work, and what an event changes of it. Pure: the same events make the same world. */

import type { Entry, HubEvent, Mail, Presence, Project, Session, Snapshot, Task } from "./wire";

export interface Timeline {
  /** Newest first. */
  entries: Entry[];
  /** Where the page of what is older ends; null at the beginning; undefined if nobody asked yet. */
  before?: number | null;
}

export interface World {
  /** The last event that is in it. */
  cursor: { epoch: string; seq: number } | null;
  /** When it was last known to be how things stand, by this phone's clock. */
  asOf: number | null;
  projects: Record<string, Project>;
  sessions: Record<string, Session>;
  tasks: Record<string, Task>;
  mails: Record<string, Mail>;
  timelines: Record<string, Timeline>;
}

export const NOTHING: World = {
  cursor: null,
  asOf: null,
  projects: {},
  sessions: {},
  tasks: {},
  mails: {},
  timelines: {},
};

/** Entries kept of one session. */
const ENTRIES = 400;
/** Mails kept. */
const MAILS = 500;

/** What the hub says of how things stand replaces what was known. */
export function reset(world: World, snapshot: Snapshot, now: number): World {
  const mine = Object.values(world.mails).filter((mail) => mail.fromSessionId === "human");
  return {
    cursor: { epoch: snapshot.epoch, seq: snapshot.cursor },
    asOf: now,
    projects: byId(snapshot.projects ?? []),
    sessions: byId(snapshot.sessions ?? []),
    tasks: byId(snapshot.tasks ?? []),
    // What was sent from here is in nobody's inbox here, and bodies that are known need not be asked for again.
    mails: trimmed(byId([...mine, ...(snapshot.mail ?? []).map((mail) => ({ ...world.mails[mail.id], ...mail }))])),
    // How a history goes on is not known: it is asked for when it is looked at.
    timelines: {},
  };
}

/** What an event changes. One that is known already changes nothing; one of another epoch does not belong here. */
export function apply(world: World, event: HubEvent): World {
  if (world.cursor === null || event.epoch !== world.cursor.epoch || event.seq <= world.cursor.seq) return world;
  const next = changed(world, event.event, record(event.data));
  return { ...next, cursor: { epoch: event.epoch, seq: event.seq } };
}

function changed(world: World, name: string, data: Record<string, unknown>): World {
  switch (name) {
    case "project:created":
    case "project:updated":
      return { ...world, projects: put(world.projects, data as unknown as Project) };
    case "project:deleted":
      return { ...world, projects: without(world.projects, data["id"]) };
    case "task:created":
    case "task:updated":
      return { ...world, tasks: put(world.tasks, data as unknown as Task) };
    case "task:deleted":
      return { ...world, tasks: without(world.tasks, data["id"]) };
    case "session:created":
    case "session:updated":
      return session(world, data);
    case "session:spawn":
      return isRecord(data["session"]) ? session(world, { session: data["session"] }) : world;
    case "session:deleted":
      return {
        ...world,
        sessions: without(world.sessions, data["id"]),
        timelines: without(world.timelines, data["id"]),
      };
    case "mail:received":
      return { ...world, mails: trimmed(put(world.mails, data as unknown as Mail)) };
    case "mail:deleted":
      return { ...world, mails: without(world.mails, data["id"]) };
    default:
      return world;
  }
}

function session(world: World, data: Record<string, unknown>): World {
  const said = data["session"];
  if (!isRecord(said) || typeof said["id"] !== "string") return world;
  const told = said as unknown as Session;
  const before = world.sessions[told.id];
  // Events do not say how the agent is; what was known of it still holds, unless it did something just now.
  const presence = told.presence ?? revived(before, told);
  const sessions = put(world.sessions, presence ? { ...told, presence } : told);
  const known = world.timelines[told.id];
  if (!known) return { ...world, sessions };
  const fresh = Array.isArray(data["newTimeline"]) ? (data["newTimeline"] as Entry[]) : [];
  const entries = merged(fresh, known.entries);
  const gap = data["truncated"] === true || (told.timelineLength ?? 0) - (before?.timelineLength ?? 0) > fresh.length;
  // After a gap nobody knows what lies between: it is asked for again.
  const timelines = gap
    ? without(world.timelines, told.id)
    : { ...world.timelines, [told.id]: { ...known, entries: entries.slice(0, ENTRIES) } };
  return { ...world, sessions, timelines };
}

function revived(before: Session | undefined, told: Session): Presence | null {
  const presence = before?.presence ?? null;
  if (!presence || told.lastActivity <= before!.lastActivity) return presence;
  const lost = presence.verdict === "silent" || presence.verdict === "lost";
  return {
    lastSeen: Math.max(presence.lastSeen ?? 0, told.lastActivity),
    verdict: lost ? "unknown" : presence.verdict,
  };
}

/** A page of a session's history. `fresh`: the newest page, asked for anew. */
export function paged(world: World, id: string, entries: Entry[], before: number | null, fresh: boolean): World {
  const known = fresh ? undefined : world.timelines[id];
  const all = known ? merged(known.entries, entries) : entries;
  return { ...world, timelines: { ...world.timelines, [id]: { entries: all, before } } };
}

/** What is known of the agents now. */
export function seen(world: World, agents: { sessionId: string; verdict: string; lastSeen: number | null }[]): World {
  const sessions = { ...world.sessions };
  for (const { sessionId, verdict, lastSeen } of agents) {
    const known = sessions[sessionId];
    if (known) sessions[sessionId] = { ...known, presence: { verdict: verdict as Presence["verdict"], lastSeen } };
  }
  return { ...world, sessions };
}

/** Mails of a conversation, with their texts. */
export function read(world: World, mails: Mail[]): World {
  return { ...world, mails: { ...world.mails, ...byId(mails) } };
}

function merged(newer: Entry[], older: Entry[]): Entry[] {
  const known = new Set(newer.map((entry) => entry.id));
  return [...newer, ...older.filter((entry) => !known.has(entry.id))];
}

function byId<T extends { id: string }>(all: T[]): Record<string, T> {
  return Object.fromEntries(all.map((one) => [one.id, one]));
}

function put<T extends { id: string }>(all: Record<string, T>, one: T): Record<string, T> {
  return typeof one.id === "string" ? { ...all, [one.id]: { ...all[one.id], ...one } } : all;
}

function without<T>(all: Record<string, T>, id: unknown): Record<string, T> {
  if (typeof id !== "string" || !(id in all)) return all;
  const rest = { ...all };
  delete rest[id];
  return rest;
}

function trimmed(mails: Record<string, Mail>): Record<string, Mail> {
  const all = Object.values(mails);
  if (all.length <= MAILS) return mails;
  return byId(all.sort((a, b) => b.createdAt - a.createdAt).slice(0, MAILS));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
