/** What this phone says: given to the hub in order, under ids that make it happen once. */

import { effect } from "@preact/signals";
import { added, again, aged, due, type Fate, fated, type Item, interrupted, settled, type What } from "../model/outbox";
import type { Mail } from "../model/wire";
import { read } from "../model/world";
import { saveOutbox } from "../net/keep";
import { request, whenLost, whenSynced } from "./socket";
import { facts, now, outbox, world } from "./store";

/** Says something; the id it can be followed by. */
export function send(what: What): string {
  const id = newId();
  outbox.value = added(outbox.peek(), id, what, Date.now());
  void pump();
  return id;
}

/** The same once more, under the same id. */
export function retry(id: string) {
  outbox.value = again(outbox.peek(), id, Date.now());
  void pump();
}

export function discard(id: string) {
  outbox.value = outbox.peek().filter((item) => item.id !== id);
}

/** The last thing said that fits. */
export function last(fits: (what: What) => boolean): Item | null {
  return outbox.value.findLast((item) => fits(item.what)) ?? null;
}

/** True of a session that was started from here while no desktop was there to open its terminal. */
export function waitsForDesktop(sessionId: string): boolean {
  return outbox.value.some(
    ({ what, fate }) =>
      what.verb === "session:spawn" && fate.state === "sent" && fate.session === sessionId && fate.desktops === 0,
  );
}

let pumping = false;

async function pump() {
  if (pumping) return;
  pumping = true;
  try {
    for (;;) {
      const next = facts.peek().synced ? due(outbox.peek(), Date.now())[0] : undefined;
      if (!next) return;
      outbox.value = fated(outbox.peek(), next.id, { state: "sending" });
      const ack = await request(next.what.verb, payload(next));
      // Lost on the way: it waits for the next connection.
      if (ack === null && !facts.peek().connected) continue;
      settle(next, settled(ack, Date.now()));
    }
  } finally {
    pumping = false;
  }
}

function settle(item: Item, fate: Fate) {
  outbox.value = fated(outbox.peek(), item.id, fate);
  if (fate.state === "sent" && item.what.verb === "mail:send") void fetchSent(fate.ids?.[0]);
}

/** What was just sent, as the hub has it. */
async function fetchSent(id: string | undefined) {
  if (!id) return;
  const ack = await request<{ mails: Mail[] }>("mail:thread", { id });
  if (ack?.success) world.value = read(world.peek(), ack.mails);
}

function payload({ id, what }: Item): Record<string, unknown> {
  switch (what.verb) {
    case "session:reply-input": {
      const { sessionId, requestId, text, choice } = what;
      return { sessionId, requestId, text, idempotencyKey: id, ...(choice === null ? {} : { choice }) };
    }
    case "session:prompt":
      return { sessionId: what.sessionId, content: what.content, requestId: id };
    case "session:spawn": {
      const { projectId, teamMemberId, taskIds, message } = what;
      return { projectId, teamMemberId, taskIds, requestId: id, ...(message === null ? {} : { message }) };
    }
    case "mail:send": {
      const mail: Record<string, unknown> = {
        projectId: what.projectId,
        type: what.replyToMailId === null ? "query" : "response",
        subject: what.subject,
        body: { message: what.message },
        requestId: id,
      };
      if (what.toSessionId !== null) mail["toSessionId"] = what.toSessionId;
      if (what.scope !== null) mail["scope"] = what.scope;
      if (what.priority !== null) mail["priority"] = what.priority;
      if (what.replyToMailId !== null) mail["replyToMailId"] = what.replyToMailId;
      return mail;
    }
  }
}

/** Random, and long enough never to be another's. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function startSending() {
  whenSynced(() => void pump());
  whenLost(() => {
    outbox.value = interrupted(outbox.peek());
  });
  effect(() => {
    const next = aged(outbox.value, now.value);
    if (next !== outbox.value) outbox.value = next;
  });
  effect(() => saveOutbox(outbox.value));
}
