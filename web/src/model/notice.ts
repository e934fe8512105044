/** What a notification says. The hub sends ids and labels, and only those that the person let it: the sentences are made
 * here, on the phone. */

/** What is pushed; of the labels only as many as the chosen privacy lets out. */
export interface Pushed {
  kind: string;
  tag: string;
  at?: number;
  /** Questions that are open. */
  badge?: number;
  session?: string;
  request?: string;
  thread?: string;
  agent?: string;
  projectName?: string;
  text?: string;
  by?: string;
  device?: string;
  from?: number;
  until?: number;
  waiting?: number;
  failed?: number;
  others?: number;
}

export interface Notice {
  title: string;
  body: string;
  /** Where a tap leads. */
  url: string;
  /** It only takes something back: nobody is disturbed by it. */
  quiet: boolean;
}

/** Reads what came; whatever it is, it makes a notice, because one must be shown. */
export function read(data: unknown): Pushed {
  if (typeof data !== "object" || data === null) return { kind: "", tag: "hub" };
  const { kind, tag } = data as Partial<Pushed>;
  return { ...data, kind: typeof kind === "string" ? kind : "", tag: typeof tag === "string" ? tag : "hub" };
}

export function notice(pushed: Pushed): Notice {
  const { agent, projectName, text, by, device } = pushed;
  const session = pushed.session ? `/#/session/${encodeURIComponent(pushed.session)}` : "/#/";
  const loud = (title: string, lines: (string | undefined)[], url: string): Notice => ({
    title,
    body: lines.filter((line) => line).join("\n"),
    url,
    quiet: false,
  });
  switch (pushed.kind) {
    case "needsInput": {
      const query = pushed.request ? `?${new URLSearchParams({ request: pushed.request })}` : "";
      return loud(agent ? `${agent} needs you` : "An agent needs you", [text, projectName], `${session}${query}`);
    }
    case "answered": {
      const body = by ? `Answered: ${by}` : "Nothing to do any more";
      return { title: agent || "The question is answered", body, url: session, quiet: true };
    }
    case "failed":
      return loud(agent ? `${agent} failed` : "A session failed", [text, projectName], session);
    case "finished":
      return loud(agent ? `${agent} is done` : "A session is done", [projectName], session);
    case "mail": {
      const url = pushed.thread ? `/#/mail/${encodeURIComponent(pushed.thread)}` : "/#/mail";
      return loud(agent ? `Mail from ${agent}` : "New mail", [text, projectName], url);
    }
    case "paired":
      return loud("A new device was paired", [device, "Not yours? Revoke it on your computer."], "/#/settings");
    case "woke":
      return loud(asleep(pushed), [counted(pushed)], "/#/");
    case "test":
      return loud("Notifications work", ["This is how they come."], "/#/settings");
    default:
      return loud("News from your agents", [], "/#/");
  }
}

function asleep({ from, until }: Pushed): string {
  if (from === undefined || until === undefined) return "Your computer was asleep";
  const clock = (at: number) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `Your computer was asleep ${clock(from)}–${clock(until)}`;
}

function counted({ waiting = 0, failed = 0, others = 0 }: Pushed): string {
  const count = (n: number, one: string, many: string) => (n === 0 ? [] : [n === 1 ? one : `${n} ${many}`]);
  return [
    ...count(waiting, "1 agent waits for you", "agents wait for you"),
    ...count(failed, "1 failed", "failed"),
    ...count(others, "1 more piece of news", "more pieces of news"),
  ].join(", ");
}
