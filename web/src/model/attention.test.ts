import { describe, expect, test } from "vitest";
import { choices, grouped, groupOf, lastSign, openRequest, stateOf, stateWord } from "./attention";
import { session } from "./samples";

const NOW = 1_000_000_000;
const asks = (since: number) => ({ active: true, message: "Which?", since, requestId: `req_${since}` });

describe("what a session is", () => {
  test.each([
    [{ status: "working" }, "working"],
    [{ status: "spawning" }, "starting"],
    [{ status: "idle" }, "idle"],
    [{ status: "completed" }, "done"],
    [{ status: "stopped" }, "stopped"],
    [{ status: "failed" }, "failed"],
    [{ status: "something new" }, "working"],
    [{ status: "working", needsInput: asks(1) }, "asks"],
    [{ status: "spawning", needsInput: asks(1) }, "asks"],
    [{ status: "working", presence: { verdict: "silent", lastSeen: 5 } }, "silent"],
    [{ status: "working", presence: { verdict: "alive", lastSeen: 5 } }, "working"],
    [{ status: "working", presence: { verdict: "unknown", lastSeen: null } }, "working"],
  ] as const)("%o is %s", (change, state) => {
    expect(stateOf(session("s", change as never))).toBe(state);
  });

  test("who has ended waits for nothing, whatever he asked before", () => {
    for (const status of ["failed", "completed", "stopped"]) {
      expect(openRequest(session("s", { status, needsInput: asks(1) }))).toBeNull();
    }
    expect(openRequest(session("s", { needsInput: asks(7) }))).toBe("req_7");
  });

  test("a question comes before silence: an answer may be what wakes it", () => {
    expect(stateOf(session("s", { needsInput: asks(1), presence: { verdict: "silent", lastSeen: 1 } }))).toBe("asks");
  });

  test("an agent that is gone is not called a failure of its work", () => {
    const gone = session("s", { status: "failed", failure: { reason: "agent_disconnected", at: 1 } });
    expect(stateWord(gone)).toBe("Agent gone");
    expect(stateWord(session("s", { status: "failed" }))).toBe("Failed");
  });

  test("the last sign of life is the agent's, whichever way it gave it", () => {
    expect(lastSign(session("s", { lastActivity: 5, presence: { verdict: "alive", lastSeen: 9 } }))).toBe(9);
    expect(lastSign(session("s", { lastActivity: 5 }))).toBe(5);
  });
});

describe("the order", () => {
  test("who needs me, oldest first; failed; at work; idle; over", () => {
    const all = [
      session("done", { status: "completed", lastActivity: NOW }),
      session("idle", { status: "idle", lastActivity: NOW }),
      session("late", { needsInput: asks(NOW - 10) }),
      session("works", { lastActivity: NOW - 5 }),
      session("fell", { status: "failed", failure: { reason: "x", at: NOW - 1000 } }),
      session("early", { needsInput: asks(NOW - 500) }),
      session("works-more", { lastActivity: NOW - 1 }),
      session("silent", { presence: { verdict: "silent", lastSeen: NOW - 9999 } }),
    ];
    const order = grouped(all, NOW).flatMap(({ sessions }) => sessions.map((one) => one.id));
    expect(order).toEqual(["early", "late", "fell", "silent", "works-more", "works", "idle", "done"]);
  });

  test("a failure is news for a day, and then it is over", () => {
    const fell = session("s", { status: "failed", failure: { reason: "x", at: NOW } });
    expect(groupOf(fell, NOW + 3_600_000)).toBe("trouble");
    expect(groupOf(fell, NOW + 25 * 3_600_000)).toBe("over");
  });

  test("it is the same whatever order they come in", () => {
    const all = ["c", "a", "b"].map((id) => session(id));
    const order = (list: typeof all) => grouped(list, NOW).flatMap(({ sessions }) => sessions.map((one) => one.id));
    expect(order(all)).toEqual(order([...all].reverse()));
  });
});

test("options are understood however an agent writes them, and nonsense is left out", () => {
  expect(choices(["Yes", "No"])).toEqual([
    { value: "Yes", label: "Yes", detail: null },
    { value: "No", label: "No", detail: null },
  ]);
  expect(choices([{ id: "y", label: "Yes", description: "go" }, { value: "n" }])).toEqual([
    { value: "y", label: "Yes", detail: "go" },
    { value: "n", label: "n", detail: null },
  ]);
  for (const nonsense of [null, undefined, "Yes", 5, {}, [5, null, {}, "", " "]]) expect(choices(nonsense)).toEqual([]);
});
