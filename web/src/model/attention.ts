/** What a session is to the person who holds the phone. Everything the screens say of a session comes from here. */

import type { Presence, Session } from "./wire";

/** In this order they are shown. */
export const STATES = ["asks", "failed", "silent", "starting", "working", "idle", "stopped", "done"] as const;
export type State = (typeof STATES)[number];

/** Sessions under one heading. */
export const GROUPS = ["you", "trouble", "busy", "idle", "over"] as const;
export type Group = (typeof GROUPS)[number];

/** A failure is news for a day. */
const NEWS = 24 * 3_600_000;

const ENDED = new Set(["completed", "failed", "stopped"]);

export function hasEnded(session: Session): boolean {
  return ENDED.has(session.status);
}

/** True if an answer would be taken. */
export function isWaiting(session: Session): boolean {
  return !hasEnded(session) && session.needsInput?.active === true;
}

/** The name of the question that is open. */
export function openRequest(session: Session): string | null {
  return isWaiting(session) ? (session.needsInput?.requestId ?? null) : null;
}

export function stateOf(session: Session): State {
  if (session.status === "failed") return "failed";
  if (session.status === "completed") return "done";
  if (session.status === "stopped") return "stopped";
  if (isWaiting(session)) return "asks";
  if (isQuiet(session.presence)) return "silent";
  if (session.status === "spawning") return "starting";
  return session.status === "idle" ? "idle" : "working";
}

function isQuiet(presence: Presence | null | undefined): boolean {
  return presence?.verdict === "silent" || presence?.verdict === "lost" || presence?.verdict === "crashed";
}

export function groupOf(session: Session, now: number): Group {
  switch (stateOf(session)) {
    case "asks":
      return "you";
    case "failed":
      return now - (session.failure?.at ?? session.lastActivity) < NEWS ? "trouble" : "over";
    case "silent":
      return "trouble";
    case "starting":
    case "working":
      return "busy";
    case "idle":
      return "idle";
    case "stopped":
    case "done":
      return "over";
  }
}

/** Who has waited longest comes first; of the others, who did something last. */
export function byAttention(now: number): (a: Session, b: Session) => number {
  return (a, b) => {
    const groups = GROUPS.indexOf(groupOf(a, now)) - GROUPS.indexOf(groupOf(b, now));
    if (groups !== 0) return groups;
    if (groupOf(a, now) === "you") {
      return (a.needsInput?.since ?? a.lastActivity) - (b.needsInput?.since ?? b.lastActivity) || compare(a, b);
    }
    return STATES.indexOf(stateOf(a)) - STATES.indexOf(stateOf(b)) || b.lastActivity - a.lastActivity || compare(a, b);
  };
}

function compare(a: Session, b: Session): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Sessions under their headings, without empty ones. */
export function grouped(sessions: Session[], now: number): { group: Group; sessions: Session[] }[] {
  const sorted = [...sessions].sort(byAttention(now));
  return GROUPS.map((group) => ({ group, sessions: sorted.filter((s) => groupOf(s, now) === group) })).filter(
    ({ sessions }) => sessions.length > 0,
  );
}

/** In words, of a session. */
export function stateWord(session: Session): string {
  switch (stateOf(session)) {
    case "asks":
      return "Needs you";
    case "failed":
      return session.failure?.reason === "agent_disconnected" ? "Agent gone" : "Failed";
    case "silent":
      return "Silent";
    case "starting":
      return "Starting";
    case "working":
      return "Working";
    case "idle":
      return "Idle";
    case "stopped":
      return "Stopped";
    case "done":
      return "Done";
  }
}

/** The last sign of life: what the agent did, or that it lives. */
export function lastSign(session: Session): number {
  return Math.max(session.lastActivity, session.presence?.lastSeen ?? 0);
}

export interface Choice {
  /** What is sent. */
  value: string;
  label: string;
  detail: string | null;
}

/** A question's options, whichever way the agent wrote them. */
export function choices(options: unknown): Choice[] {
  if (!Array.isArray(options)) return [];
  return options.flatMap((option): Choice[] => {
    if (typeof option === "string") return option.trim() ? [{ value: option, label: option, detail: null }] : [];
    if (typeof option !== "object" || option === null) return [];
    const text = (key: string) => {
      const found = (option as Record<string, unknown>)[key];
      return typeof found === "string" && found.trim() ? found : null;
    };
    const value = text("id") ?? text("value") ?? text("label");
    if (value === null) return [];
    return [{ value, label: text("label") ?? value, detail: text("description") }];
  });
}
