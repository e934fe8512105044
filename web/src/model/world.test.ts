import { describe, expect, test } from "vitest";
import { mail, session } from "./samples";
import type { HubEvent, Snapshot } from "./wire";
import { apply, NOTHING, paged, read, reset, seen, type World } from "./world";

const snapshot = (change: Partial<Snapshot> = {}): Snapshot => ({
  reset: true,
  reason: "nothing is known yet",
  epoch: "e1",
  cursor: 10,
  projects: [],
  sessions: [session("s", { timelineLength: 2 })],
  tasks: [],
  mail: [],
  ...change,
});

const begun = (): World => reset(NOTHING, snapshot(), 5);

const event = (seq: number, name: string, data: unknown, epoch = "e1"): HubEvent => ({
  event: name,
  data,
  timestamp: seq,
  epoch,
  seq,
});

const told = (seq: number, change: object, newTimeline: object[] = [], more: object = {}) =>
  event(seq, "session:updated", { session: { ...session("s"), ...change }, newTimeline, ...more });

describe("events", () => {
  test("each is taken once, in order, and only in its epoch", () => {
    const once = apply(begun(), told(11, { status: "idle" }));
    expect(once.sessions["s"]?.status).toBe("idle");
    expect(once.cursor).toEqual({ epoch: "e1", seq: 11 });
    expect(apply(once, told(11, { status: "failed" }))).toBe(once);
    expect(apply(once, told(3, { status: "failed" }))).toBe(once);
    expect(apply(once, event(12, "session:deleted", { id: "s" }, "e2"))).toBe(once);
  });

  test("before anything is known none makes sense", () => {
    expect(apply(NOTHING, told(1, {}))).toBe(NOTHING);
  });

  test("one that says nothing to us moves the place in the log all the same", () => {
    const next = apply(begun(), event(40, "notify:progress", { sessionId: "s" }));
    expect(next.cursor?.seq).toBe(40);
    expect(next.sessions).toEqual(begun().sessions);
  });

  test("a whole life: created, changed, deleted", () => {
    const made = apply(begun(), event(11, "session:created", { session: session("t"), newTimeline: [] }));
    expect(Object.keys(made.sessions)).toEqual(["s", "t"]);
    const gone = apply(made, event(12, "session:deleted", { id: "t" }));
    expect(Object.keys(gone.sessions)).toEqual(["s"]);
  });

  test("nonsense in an event breaks nothing", () => {
    for (const data of [null, 5, "x", [], {}, { session: null }, { session: { id: 5 } }]) {
      const next = apply(begun(), event(11, "session:updated", data));
      expect(next.sessions).toEqual(begun().sessions);
    }
  });
});

describe("histories", () => {
  const entry = (id: string) => ({ id, type: "progress", timestamp: 1, message: id });
  const known = () => paged(begun(), "s", [entry("b"), entry("a")], null, true);

  test("what is new goes on top, once", () => {
    const next = apply(known(), told(11, { timelineLength: 3 }, [entry("c")]));
    const twice = apply(next, told(12, { timelineLength: 3 }, [entry("c")]));
    expect(twice.timelines["s"]?.entries.map(({ id }) => id)).toEqual(["c", "b", "a"]);
  });

  test("a history with a gap is asked for anew, not shown as if it were whole", () => {
    expect(apply(known(), told(11, { timelineLength: 9 }, [entry("i")])).timelines["s"]).toBeUndefined();
    const cut = apply(known(), told(11, { timelineLength: 3 }, [entry("c")], { truncated: true }));
    expect(cut.timelines["s"]).toBeUndefined();
  });

  test("older pages go to the end", () => {
    const newest = paged(begun(), "s", [entry("d"), entry("c")], 2, true);
    const all = paged(newest, "s", [entry("b"), entry("a")], null, false);
    expect(all.timelines["s"]?.entries.map(({ id }) => id)).toEqual(["d", "c", "b", "a"]);
    expect(all.timelines["s"]?.before).toBeNull();
  });
});

describe("a snapshot", () => {
  test("replaces what was known, and keeps what was sent from here and texts that were read", () => {
    const before = read(begun(), [
      mail("sent", { fromSessionId: "human", toSessionId: "s" }),
      mail("m", { body: { message: "Hello" } }),
      mail("old"),
    ]);
    const { body: _, ...head } = mail("m");
    const after = reset(before, snapshot({ cursor: 99, sessions: [session("t")], mail: [head] }), 7);
    expect(Object.keys(after.sessions)).toEqual(["t"]);
    expect(Object.keys(after.mails).sort()).toEqual(["m", "sent"]);
    expect(after.mails["m"]?.body).toEqual({ message: "Hello" });
    expect([after.cursor?.seq, after.asOf]).toEqual([99, 7]);
  });

  test("what a device may not see is not kept from before it might", () => {
    const after = reset(begun(), { reset: true, reason: "x", epoch: "e1", cursor: 1 }, 7);
    expect(after.sessions).toEqual({});
  });
});

test("silence is known by looking, and ends with the next thing the agent does", () => {
  const silent = seen(begun(), [
    { sessionId: "s", verdict: "silent", lastSeen: 3 },
    { sessionId: "no such", verdict: "alive", lastSeen: 3 },
  ]);
  expect(silent.sessions["s"]?.presence?.verdict).toBe("silent");
  expect(Object.keys(silent.sessions)).toEqual(["s"]);
  const same = apply(silent, told(11, { lastActivity: 1 }));
  expect(same.sessions["s"]?.presence?.verdict).toBe("silent");
  const awake = apply(silent, told(11, { lastActivity: 50 }));
  expect(awake.sessions["s"]?.presence).toEqual({ verdict: "unknown", lastSeen: 50 });
});
