/** Mail as people read it: conversations they have a part in. */

import { HUMAN, type Mail, type Session } from "./wire";

export interface Thread {
  id: string;
  projectId: string;
  subject: string;
  /** Oldest first. */
  mails: Mail[];
  latest: Mail;
  /** Sessions in it. */
  with: string[];
}

/** True if people are in it: written by them, to them, or to everybody. */
export function concernsPeople(mail: Mail): boolean {
  return mail.fromSessionId === HUMAN || mail.toSessionId === HUMAN || mail.toSessionId === null;
}

/** Conversations that people have a part in, the one that moved last first. */
export function threads(mails: Record<string, Mail>): Thread[] {
  const found = new Map<string, Mail[]>();
  for (const mail of Object.values(mails)) {
    const known = found.get(mail.threadId);
    if (known) known.push(mail);
    else found.set(mail.threadId, [mail]);
  }
  const all: Thread[] = [];
  for (const [id, list] of found) {
    if (!list.some(concernsPeople)) continue;
    list.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    const [first, latest] = [list[0], list[list.length - 1]];
    if (!first || !latest) continue;
    const others = list.flatMap((mail) => [mail.fromSessionId, mail.toSessionId]);
    const sessions = others.filter((id): id is string => id !== null && id !== HUMAN);
    all.push({
      id,
      projectId: latest.projectId,
      subject: first.subject,
      mails: list,
      latest,
      with: [...new Set(sessions)],
    });
  }
  return all.sort((a, b) => b.latest.createdAt - a.latest.createdAt);
}

/** True if somebody wrote to people since it was read. */
export function isUnread(thread: Thread, readAt: Record<string, number>): boolean {
  const seen = readAt[thread.id] ?? 0;
  return thread.mails.some((mail) => mail.fromSessionId !== HUMAN && concernsPeople(mail) && mail.createdAt > seen);
}

/** What a mail says. Agents put its text where they like: the usual places first, then whatever text there is. */
export function bodyText(body: Record<string, unknown> | undefined): string {
  if (!body) return "";
  // An answer that was mailed: what was chosen, and what was said to it.
  const said = ["choice", "message", "text", "content", "body", "summary"]
    .map((key) => body[key])
    .filter((value): value is string => typeof value === "string" && value.trim() !== "");
  const [first, second] = said;
  if (first !== undefined) return body["choice"] === first && second !== undefined ? `${first}\n${second}` : first;
  return Object.entries(body)
    .filter(([, value]) => value !== "" && ["string", "number", "boolean"].includes(typeof value))
    .map(([key, value]) => `${key}: ${String(value)}`)
    .join("\n");
}

export type Audience =
  | { kind: "session"; id: string }
  | { kind: "team"; lead: string }
  | { kind: "workers" }
  | { kind: "all" };

const ACTIVE = new Set(["working", "idle", "spawning"]);

/** Who gets a mail to this audience now, as the hub will decide it (src/domain/mail/recipients.rs). */
export function recipients(audience: Audience, projectId: string, sessions: Session[]): Session[] {
  const here = sessions.filter((session) => session.projectId === projectId);
  const active = here.filter((session) => ACTIVE.has(session.status));
  switch (audience.kind) {
    case "session":
      return here.filter((session) => session.id === audience.id);
    case "team":
      return active.filter((session) => session.id === audience.lead || session.parentSessionId === audience.lead);
    case "workers":
      return active.filter((session) => !session.parentSessionId);
    case "all":
      return active;
  }
}

/** Sessions that have started others which are at work. */
export function leads(projectId: string, sessions: Session[]): Session[] {
  const parents = new Set(
    sessions.filter((session) => ACTIVE.has(session.status)).map((session) => session.parentSessionId),
  );
  return sessions.filter((session) => session.projectId === projectId && parents.has(session.id));
}
