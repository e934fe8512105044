import { describe, expect, test } from "vitest";
import { age, ago } from "./age";
import { titleOf } from "./names";
import { codeOf, href, parse, type Route, tabOf } from "./route";
import { mail, session } from "./samples";
import { groupedTasks, taskGroup, taskWord } from "./tasks";
import { blocks, firstLine, parts } from "./text";
import { bodyText, isUnread, leads, recipients, threads } from "./threads";
import type { Task } from "./wire";

test("times are said as people say them", () => {
  const said = [0, 9_999, 15_000, 61_000, 3_600_000, 90_000_000].map((passed) => age(0, passed));
  expect(said).toEqual(["now", "now", "15 s", "1 min", "1 h", "1 d"]);
  expect(age(5_000, 0)).toBe("now");
  expect([ago(0, 0), ago(0, 120_000)]).toEqual(["just now", "2 min ago"]);
});

describe("addresses", () => {
  const routes: Route[] = [
    { screen: "sessions" },
    { screen: "session", id: "sess_1", request: "req_2" },
    { screen: "session", id: "ä/b", request: null },
    { screen: "mail" },
    { screen: "thread", id: "mail_1" },
    { screen: "write", to: "s", project: null },
    { screen: "start", project: "p", task: "t" },
    { screen: "tasks", project: null },
    { screen: "settings" },
    { screen: "pair" },
  ];
  test.each(routes)("%o is found again", (route) => {
    expect(parse(href(route))).toEqual(route);
  });

  test("what is unknown leads to the list", () => {
    for (const strange of ["", "#", "#/nowhere", "#/session/", "#/session/%zz", "#//x"]) {
      expect(parse(strange)).toEqual({ screen: "sessions" });
    }
    expect(tabOf({ screen: "thread", id: "x" })).toBe("mail");
  });

  test("a code is what follows /pair/, and nothing else", () => {
    expect(codeOf("/pair/dedh-z7cm")).toBe("DEDH-Z7CM");
    expect(codeOf("/pair/DEDHZ7CM/")).toBe("DEDHZ7CM");
    for (const path of ["/", "/pair", "/pair/", "/pair/a/b", "/pair/<script>", "/pair/12345678901234567"]) {
      expect(codeOf(path)).toBeNull();
    }
  });
});

describe("texts of agents", () => {
  test("links are links, and nothing is markup", () => {
    expect(parts("See https://a.example/x?y=1, now.")).toEqual([
      { kind: "text", text: "See " },
      { kind: "link", text: "https://a.example/x?y=1", href: "https://a.example/x?y=1" },
      { kind: "text", text: ", now." },
    ]);
    const hostile = `<img src=x onerror=alert(1)><a href="javascript:alert(1)">x</a>`;
    expect(parts(hostile)).toEqual([{ kind: "text", text: hostile }]);
  });

  test("an address that hides its host is no link", () => {
    for (const text of ["https://bank.example@evil.example/", "javascript:alert(1)", "data:text/html,x", "https://"]) {
      expect(parts(text).every((part) => part.kind === "text")).toBe(true);
    }
  });

  test("fences are code, also when nobody closes them", () => {
    expect(blocks("Run:\n```sh\nmake `x`\n```\nok?").map(({ kind }) => kind)).toEqual([
      "paragraph",
      "code",
      "paragraph",
    ]);
    expect(blocks("```\nhalf")).toEqual([{ kind: "code", text: "half" }]);
    expect(parts("a `b` c").map(({ kind }) => kind)).toEqual(["text", "code", "text"]);
  });

  test("nothing of a text is lost, and one without end is cut", () => {
    const text = "One https://a.example `two` three";
    expect(
      parts(text)
        .map((part) => part.text)
        .join(""),
    ).toBe(text.replaceAll("`", ""));
    expect(JSON.stringify(blocks("x".repeat(1_000_000))).length).toBeLessThan(30_000);
    expect(firstLine("\n\n  ```\n Hello \nx")).toBe("Hello");
  });
});

describe("mail", () => {
  const list = (...mails: ReturnType<typeof mail>[]) => Object.fromEntries(mails.map((one) => [one.id, one]));

  test("conversations of people, the one that moved last first", () => {
    const found = threads(
      list(
        mail("a", { createdAt: 1 }),
        mail("b", { createdAt: 9, threadId: "a", fromSessionId: "human", toSessionId: "agent" }),
        mail("c", { createdAt: 5 }),
        mail("among-agents", { toSessionId: "other", createdAt: 99 }),
        mail("to-all", { toSessionId: null, createdAt: 2 }),
      ),
    );
    expect(found.map(({ id }) => id)).toEqual(["a", "c", "to-all"]);
    expect(found[0]?.mails.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(found[0]?.with).toEqual(["agent"]);
  });

  test("what I wrote is not unread", () => {
    const [thread] = threads(list(mail("a", { createdAt: 5 })));
    expect([isUnread(thread!, {}), isUnread(thread!, { a: 5 })]).toEqual([true, false]);
    const [mine] = threads(list(mail("a", { fromSessionId: "human", toSessionId: "s" })));
    expect(isUnread(mine!, {})).toBe(false);
  });

  test("a text is found wherever the agent put it", () => {
    expect(bodyText({ message: "Hello" })).toBe("Hello");
    expect(bodyText({ requestId: "r", text: "", choice: "yes" })).toBe("yes");
    expect(bodyText({ text: "but slowly", choice: "yes" })).toBe("yes\nbut slowly");
    expect(bodyText({ summary: "Short", count: 3 })).toBe("Short");
    expect(bodyText({ done: true, count: 3, list: [1] })).toBe("done: true\ncount: 3");
    expect(bodyText(undefined)).toBe("");
  });

  test("who gets it is known before it is sent", () => {
    const all = [
      session("lead"),
      session("w1", { parentSessionId: "lead" }),
      session("w2", { parentSessionId: "lead", status: "completed" }),
      session("alone", { status: "idle" }),
      session("elsewhere", { projectId: "q" }),
    ];
    const ids = (audience: Parameters<typeof recipients>[0]) => recipients(audience, "p", all).map(({ id }) => id);
    expect(ids({ kind: "session", id: "w2" })).toEqual(["w2"]);
    expect(ids({ kind: "team", lead: "lead" })).toEqual(["lead", "w1"]);
    expect(ids({ kind: "workers" })).toEqual(["lead", "alone"]);
    expect(ids({ kind: "all" })).toEqual(["lead", "w1", "alone"]);
    expect(leads("p", all).map(({ id }) => id)).toEqual(["lead"]);
  });
});

test("tasks are found under headings, whatever their status is called", () => {
  const task = (id: string, status: string, updatedAt = 1) => ({ id, status, updatedAt }) as Task;
  const groups = groupedTasks([task("a", "todo"), task("b", "blocked"), task("c", "completed"), task("d", "todo", 2)]);
  expect(groups.map(({ group, tasks }) => [group, tasks.map(({ id }) => id)])).toEqual([
    ["blocked", ["b"]],
    ["open", ["d", "a"]],
    ["done", ["c"]],
  ]);
  expect([taskGroup("whatever"), taskWord("in_progress"), taskWord("")]).toEqual(["open", "In progress", "Unknown"]);
});

test("a session that was only numbered is called by its task", () => {
  const tasks = { task_1: { id: "task_1", title: "Rate limits" } as Task };
  const numbered = session("s", { name: "Execute for task_1", taskIds: ["task_1"] });
  expect([titleOf(numbered, tasks), titleOf(numbered, {})]).toEqual(["Rate limits", "Execute for task_1"]);
  expect(titleOf(session("s", { name: "Mine", taskIds: ["task_1"] }), tasks)).toBe("Mine");
  expect(titleOf(session("s", { name: "" }), {})).toBe("s");
});
