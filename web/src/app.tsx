/** Which screen is shown, and beside what. */

import { useEffect } from "preact/hooks";
import { stateOf } from "./model/attention";
import { href, type Route, tabOf } from "./model/route";
import { Empty } from "./parts/frame";
import { Icon } from "./parts/icon";
import { Mail, Thread, Write } from "./screens/mail";
import { Pair } from "./screens/pair";
import { Session } from "./screens/session";
import { Sessions } from "./screens/sessions";
import { Settings } from "./screens/settings";
import { Start } from "./screens/start";
import { Tasks } from "./screens/tasks";
import { may, paired, route, sessions, truth, unread } from "./state/store";

export function App() {
  const at = route.value;
  const waiting = sessions.value.filter((session) => stateOf(session) === "asks").length;
  useEffect(() => {
    document.title = waiting > 0 ? `(${waiting}) maestro` : "maestro";
  }, [waiting]);
  // Whoever uses a screen reader is told that another screen is there.
  const place = `${at.screen}/${"id" in at ? at.id : ""}`;
  useEffect(() => {
    const heading = document.querySelector<HTMLElement>(".has-detail .detail h1") ?? document.querySelector(".list h1");
    (heading as HTMLElement | null)?.focus({ preventScroll: true });
  }, [place]);
  if (paired.value === null) return null;
  if (paired.value === false || at.screen === "pair" || truth.value.pairAgain) return <Pair />;
  const detail = detailOf(at);
  return (
    <div class={detail ? "app has-detail" : isWhole(at) ? "app is-whole" : "app"}>
      <Tabs at={at} waiting={waiting} />
      <p class="visually-hidden" role="status">
        {waiting === 0 ? "" : waiting === 1 ? "1 agent needs you" : `${waiting} agents need you`}
      </p>
      <main class="panes">
        <div class="list">{listOf(at)}</div>
        <div class="detail">
          {detail ?? (
            <Empty title="Nothing chosen">
              {tabOf(at) === "mail" ? "Choose a conversation." : "Choose a session to see what it does."}
            </Empty>
          )}
        </div>
      </main>
    </div>
  );
}

function listOf(at: Route) {
  switch (tabOf(at)) {
    case "mail":
      return may("mail") ? <Mail /> : <Sessions />;
    case "tasks":
      return <Tasks project={at.screen === "tasks" ? at.project : null} />;
    case "settings":
      return <Settings />;
    default:
      return <Sessions />;
  }
}

/** True of what has nothing to be shown beside it. */
function isWhole(at: Route): boolean {
  return at.screen === "settings" || at.screen === "tasks";
}

function detailOf(at: Route) {
  switch (at.screen) {
    case "session":
      return <Session key={at.id} id={at.id} asked={at.request} />;
    case "thread":
      return may("mail") ? <Thread key={at.id} id={at.id} /> : null;
    case "write":
      return may("mail") ? <Write key={`${at.to}/${at.project}`} to={at.to} project={at.project} /> : null;
    case "start":
      return may("spawn") ? <Start key={`${at.project}/${at.task}`} project={at.project} task={at.task} /> : null;
    default:
      return null;
  }
}

function Tabs({ at, waiting }: { at: Route; waiting: number }) {
  const here = tabOf(at);
  const tabs: { name: "sessions" | "mail" | "tasks" | "settings"; label: string; count: number }[] = [
    { name: "sessions", label: "Sessions", count: waiting },
    ...(may("mail") ? [{ name: "mail" as const, label: "Mail", count: unread.value }] : []),
    ...(may("view") ? [{ name: "tasks" as const, label: "Tasks", count: 0 }] : []),
    { name: "settings", label: "Settings", count: 0 },
  ];
  return (
    <nav class="tabs" aria-label="Main">
      <img class="mark" src="/icons/icon.svg" alt="" width="36" height="36" />
      {tabs.map(({ name, label, count }) => (
        <a key={name} href={addressOf(name)} aria-current={here === name ? "page" : undefined}>
          <Icon name={name} />
          <span>{label}</span>
          {count > 0 && (
            <span class="badge">
              {count}
              <span class="visually-hidden">{name === "mail" ? " unread" : " waiting"}</span>
            </span>
          )}
        </a>
      ))}
    </nav>
  );
}

function addressOf(tab: "sessions" | "mail" | "tasks" | "settings"): string {
  return tab === "tasks" ? href({ screen: "tasks", project: null }) : href({ screen: tab });
}
