import { describe, expect, test } from "vitest";
import { notice, read } from "./notice";

const asks = { kind: "needsInput", tag: "session:s", session: "s", request: "r" };

describe("a notification", () => {
  test("says as much as the hub was let tell", () => {
    expect(notice(asks)).toMatchObject({ title: "An agent needs you", body: "" });
    const named = { ...asks, agent: "Ada", projectName: "Demo" };
    expect(notice(named)).toMatchObject({ title: "Ada needs you", body: "Demo" });
    expect(notice({ ...named, text: "Which port?" }).body).toBe("Which port?\nDemo");
  });

  test("leads to the very question, and everything else to where it is told", () => {
    expect(notice(asks).url).toBe("/#/session/s?request=r");
    expect(notice({ ...asks, kind: "failed" }).url).toBe("/#/session/s");
    expect(notice({ kind: "mail", tag: "mail:t", thread: "t" }).url).toBe("/#/mail/t");
    expect(notice({ kind: "paired", tag: "device:d" }).url).toBe("/#/settings");
  });

  test("disturbs nobody when it only takes something back", () => {
    expect(notice({ ...asks, kind: "answered", agent: "Ada", by: "Anna's Mac" })).toMatchObject({
      title: "Ada",
      body: "Answered: Anna's Mac",
      quiet: true,
    });
    expect(notice(asks).quiet).toBe(false);
  });

  test("sums up a night", () => {
    const woke = notice({ kind: "woke", tag: "hub", from: 0, until: 3_600_000, waiting: 2, failed: 1, others: 0 });
    expect(woke.title).toMatch(/^Your computer was asleep .+–.+$/);
    expect(woke.body).toBe("2 agents wait for you, 1 failed");
  });

  test("is shown whatever comes", () => {
    for (const strange of [null, 7, "x", [], {}, { kind: 5, tag: 6 }, { kind: "later", tag: "x" }]) {
      expect(notice(read(strange)).title).toBe("News from your agents");
    }
  });
});
