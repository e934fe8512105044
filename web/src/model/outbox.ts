/** What this phone has said, and what became of it. Pure: effects are elsewhere.
 *
 * Everything is sent under an id of its own, and sent again under the same, so that it is done once. An answer is for a
 * moment: it is not kept for later, because the question may be another one by then. Mail and new agents are kept. */

import type { Answerer } from "./wire";

export type What =
  | { verb: "session:reply-input"; sessionId: string; requestId: string; text: string; choice: string | null }
  | { verb: "session:prompt"; sessionId: string; content: string }
  | {
      verb: "session:spawn";
      projectId: string;
      teamMemberId: string;
      taskIds: string[];
      message: string | null;
      label: string;
    }
  | {
      verb: "mail:send";
      projectId: string;
      toSessionId: string | null;
      scope: "all" | "my-workers" | "team" | null;
      subject: string;
      message: string;
      priority: string | null;
      replyToMailId: string | null;
      threadId: string | null;
    };

export type Fate =
  /** Not given to the hub yet. */
  | { state: "waiting" }
  /** Given to it; no word yet. */
  | { state: "sending" }
  /** The hub has it. `how`: the way it goes from there. */
  | {
      state: "sent";
      how: string | null;
      at: number;
      ids?: string[];
      recipients?: number;
      desktops?: number;
      session?: string;
    }
  /** It was not taken. `retry`: trying again may help. */
  | { state: "failed"; code: string; error: string; retry: boolean; by?: Answerer };

export interface Item {
  id: string;
  what: What;
  fate: Fate;
  at: number;
}

export type Outbox = Item[];

/** Longest time that an answer waits for a connection. */
export const ANSWER_PATIENCE = 60_000;
/** What was sent is remembered so long, to be shown. */
const REMEMBERED = 24 * 3_600_000;
const MOST = 60;

export function added(outbox: Outbox, id: string, what: What, now: number): Outbox {
  const item: Item = { id, what, fate: { state: "waiting" }, at: now };
  return [...outbox, item].slice(-MOST);
}

export function fated(outbox: Outbox, id: string, fate: Fate): Outbox {
  return outbox.map((item) => (item.id === id ? { ...item, fate } : item));
}

/** Tries again under the same id, as of now. */
export function again(outbox: Outbox, id: string, now: number): Outbox {
  return outbox.map((item): Item => (item.id === id ? { ...item, fate: { state: "waiting" }, at: now } : item));
}

/** The connection is gone: what had no word yet is given to the hub again with the next one. */
export function interrupted(outbox: Outbox): Outbox {
  return outbox.map((item): Item => (item.fate.state === "sending" ? { ...item, fate: { state: "waiting" } } : item));
}

/** What time does to it: answers that waited too long are not sent, and old successes are forgotten. */
export function aged(outbox: Outbox, now: number): Outbox {
  const next = outbox
    .filter((item) => item.fate.state !== "sent" || now - item.at < REMEMBERED)
    .map((item): Item => {
      const late = item.fate.state === "waiting" && !isKept(item.what) && now - item.at > ANSWER_PATIENCE;
      if (!late) return item;
      const error =
        "It waited for a connection for a minute. The question may be another one by now: look before you send it again.";
      return { ...item, fate: { state: "failed", code: "late", error, retry: true } };
    });
  const same = next.length === outbox.length && next.every((item, n) => item === outbox[n]);
  return same ? outbox : next;
}

/** True of what is worth saying hours later too. */
export function isKept(what: What): boolean {
  return what.verb === "mail:send" || what.verb === "session:spawn";
}

/** What is to be given to the hub now, in order. */
export function due(outbox: Outbox, now: number): Item[] {
  return aged(outbox, now).filter((item) => item.fate.state === "waiting");
}

/** What is kept when the page is closed. Of an answer that was under way the session itself tells: answered, or open. */
export function kept(outbox: Outbox): Outbox {
  return interrupted(outbox).filter((item) => isKept(item.what));
}

/** What is still to be said, or was not taken. */
export function unsettled(outbox: Outbox): Item[] {
  return outbox.filter((item) => item.fate.state !== "sent");
}

/** Codes after which the same thing may succeed. */
const PASSING = new Set(["busy", "unavailable", "timeout", "rate", "internal", "disk_full", "late"]);

/** What an acknowledgement says of it. `timeout`: the hub is still at it, or nobody answered. */
export function settled(ack: unknown, now: number): Fate {
  const told = (typeof ack === "object" && ack !== null ? ack : {}) as Record<string, unknown>;
  if (told["success"] === true) {
    const fate: Fate = { state: "sent", how: text(told["how"]), at: number(told["at"]) ?? now };
    if (Array.isArray(told["ids"])) fate.ids = told["ids"].filter((id): id is string => typeof id === "string");
    const recipients = number(told["recipients"]);
    if (recipients !== null) fate.recipients = recipients;
    const desktops = number(told["desktops"]);
    if (desktops !== null) fate.desktops = desktops;
    const session = text(told["sessionId"]);
    if (session !== null) fate.session = session;
    return fate;
  }
  const code = text(told["code"]) ?? "timeout";
  const error = text(told["error"]) ?? "The hub has not said whether it has it.";
  const fate: Fate = { state: "failed", code, error, retry: PASSING.has(code) };
  const by = told["answeredBy"];
  if (typeof by === "object" && by !== null) fate.by = by as Answerer;
  return fate;
}

/** In words. */
export function fateWords(item: Item, online: boolean): string {
  const { fate, what } = item;
  switch (fate.state) {
    case "waiting":
      return online ? "Sending" : isKept(what) ? "Waiting for a connection" : "Waiting for a connection, for a minute";
    case "sending":
      return "Sending";
    case "failed":
      return fate.by ? `${fate.by.name} answered first` : `Not sent: ${fate.error}`;
    case "sent":
      return sentWords(what, fate);
  }
}

function sentWords(what: What, fate: Extract<Fate, { state: "sent" }>): string {
  switch (what.verb) {
    case "session:reply-input":
      return howWords(fate.how);
    case "session:prompt":
      return fate.desktops === 0
        ? "Taken, but no desktop is connected that could type it in"
        : "Delivered: typed into its terminal";
    case "session:spawn":
      return fate.desktops === 0 ? "Queued: it starts when a desktop is connected" : "Handed to the desktop: it starts";
    case "mail:send":
      return fate.recipients === 1 ? "Delivered to its inbox" : `Delivered to ${fate.recipients ?? 0} inboxes`;
  }
}

/** The way an answer takes to the agent. */
export function howWords(how: string | null): string {
  switch (how) {
    case "poll":
      return "Delivered: the agent was waiting for it";
    case "desktop":
      return "Delivered: typed into its terminal";
    case "mail":
      return "Queued: in the agent's mail";
    case "kept":
      return "Queued: kept until the agent asks";
    default:
      return "Delivered";
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
