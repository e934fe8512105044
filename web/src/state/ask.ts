/** What screens ask for when they are opened: histories, conversations, presets. */

import { signal } from "@preact/signals";
import type { Entry, Mail, Member } from "../model/wire";
import { paged, read } from "../model/world";
import { saveRead } from "../net/keep";
import { request } from "./socket";
import { readAt, world } from "./store";

const PAGE = 40;

/** Members of each project, as far as somebody asked. */
export const members = signal<Record<string, Member[]>>({});

/** A page of a session's history: the newest, or with `older` the one before what is known. True if it came. */
export async function timeline(id: string, older: boolean): Promise<boolean> {
  const before = older ? (world.peek().timelines[id]?.before ?? null) : null;
  const wish = before === null ? { sessionId: id, limit: PAGE } : { sessionId: id, before, limit: PAGE };
  const ack = await request<{ entries: Entry[]; before: number | null }>("session:timeline", wish);
  if (!ack?.success) return false;
  world.value = paged(world.peek(), id, ack.entries, ack.before, !older);
  return true;
}

export async function conversation(id: string): Promise<boolean> {
  const ack = await request<{ mails: Mail[] }>("mail:thread", { id });
  if (!ack?.success) return false;
  world.value = read(world.peek(), ack.mails);
  return true;
}

export async function team(projectId: string): Promise<boolean> {
  const ack = await request<{ members: Member[] }>("team:list", { projectId });
  if (!ack?.success) return false;
  members.value = { ...members.peek(), [projectId]: ack.members };
  return true;
}

/** A conversation was looked at. */
export function markRead(id: string, until: number) {
  if ((readAt.peek()[id] ?? 0) >= until) return;
  readAt.value = { ...readAt.peek(), [id]: until };
  saveRead(readAt.value);
}
