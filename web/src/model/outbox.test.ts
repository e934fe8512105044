import { describe, expect, test } from "vitest";
import {
  ANSWER_PATIENCE,
  added,
  again,
  aged,
  due,
  fated,
  fateWords,
  interrupted,
  kept,
  type Outbox,
  settled,
  type What,
} from "./outbox";

const answer: What = { verb: "session:reply-input", sessionId: "s", requestId: "r", text: "yes", choice: null };
const letter: What = {
  verb: "mail:send",
  projectId: "p",
  toSessionId: "s",
  scope: null,
  subject: "x",
  message: "y",
  priority: null,
  replyToMailId: null,
  threadId: null,
};
const box = (...all: [string, What][]): Outbox =>
  all.reduce((list, [id, what]) => added(list, id, what, 0), [] as Outbox);
const fate = (outbox: Outbox, id: string) => outbox.find((item) => item.id === id)?.fate;

test("what is said waits, in order, until the hub has it", () => {
  const both = box(["a", answer], ["m", letter]);
  expect(due(both, 1).map(({ id }) => id)).toEqual(["a", "m"]);
  const sending = fated(both, "a", { state: "sending" });
  expect(due(sending, 1).map(({ id }) => id)).toEqual(["m"]);
});

test("what had no word when the connection went is given again, under the same id", () => {
  const lost = interrupted(fated(box(["a", answer]), "a", { state: "sending" }));
  expect(due(lost, 1).map(({ id }) => id)).toEqual(["a"]);
});

test("an answer waits a minute and no longer: the question may be another one", () => {
  const both = box(["a", answer], ["m", letter]);
  expect(due(both, ANSWER_PATIENCE).length).toBe(2);
  expect(due(both, ANSWER_PATIENCE + 1).map(({ id }) => id)).toEqual(["m"]);
  expect(fate(aged(both, ANSWER_PATIENCE + 1), "a")).toMatchObject({ state: "failed", code: "late", retry: true });
  const retried = again(aged(both, ANSWER_PATIENCE + 1), "a", 200_000);
  expect(due(retried, 200_001).map(({ id }) => id)).toEqual(["a", "m"]);
});

test("when nothing changes with time it is the same list", () => {
  const both = box(["a", answer], ["m", letter]);
  expect(aged(both, 1)).toBe(both);
});

test("a page that is closed keeps mail and new agents, and no answers", () => {
  const both = fated(box(["a", answer], ["m", letter]), "m", { state: "sending" });
  expect(kept(both)).toEqual([{ id: "m", what: letter, fate: { state: "waiting" }, at: 0 }]);
});

describe("acknowledgements", () => {
  test("say how it goes on from the hub", () => {
    const item = { id: "a", what: answer, at: 0 };
    for (const [how, words] of [
      ["poll", "the agent was waiting"],
      ["desktop", "typed into its terminal"],
      ["mail", "Queued: in the agent's mail"],
      ["kept", "kept until the agent asks"],
    ] as const) {
      const told = { ...item, fate: settled({ success: true, how, at: 7 }, 9) };
      expect(told.fate).toMatchObject({ state: "sent", how, at: 7 });
      expect(fateWords(told, true)).toContain(words);
    }
  });

  test("who was first is named, and trying again would not help", () => {
    const told = settled(
      { success: false, code: "already_answered", error: "late", answeredBy: { kind: "device", name: "Anna's Mac" } },
      1,
    );
    expect(told).toMatchObject({ state: "failed", retry: false });
    expect(fateWords({ id: "a", what: answer, at: 0, fate: told }, true)).toBe("Anna's Mac answered first");
  });

  test("what may pass can be tried again; silence too, under the same id", () => {
    for (const code of ["busy", "unavailable", "timeout", "rate", "disk_full"]) {
      expect(settled({ success: false, code, error: "x" }, 1)).toMatchObject({ retry: true });
    }
    for (const code of ["invalid", "scope", "not_found", "stale_request"]) {
      expect(settled({ success: false, code, error: "x" }, 1)).toMatchObject({ retry: false });
    }
    expect(settled(null, 1)).toMatchObject({ state: "failed", code: "timeout", retry: true });
  });

  test("nobody is told that an agent starts when no desktop is there to start it", () => {
    const what: What = {
      verb: "session:spawn",
      projectId: "p",
      teamMemberId: "m",
      taskIds: [],
      message: "go",
      label: "Ada",
    };
    const told = settled({ success: true, sessionId: "s", desktops: 0 }, 1);
    expect(fateWords({ id: "a", what, at: 0, fate: told }, true)).toContain("when a desktop is connected");
  });
});
