/** One session: what it asks, what it did, what can be done. */

import { useEffect, useId, useState } from "preact/hooks";
import { ago, clock, dayName, dayOf } from "../model/age";
import { hasEnded, isWaiting, lastSign, stateOf } from "../model/attention";
import { href } from "../model/route";
import type { Entry, Session as Record } from "../model/wire";
import { Composer } from "../parts/composer";
import { Bar, Empty, Freshness, Scroll, Trouble } from "../parts/frame";
import { Icon, StateChip } from "../parts/icon";
import { Question } from "../parts/question";
import { Sent } from "../parts/sent";
import { timeline } from "../state/ask";
import { send, waitsForDesktop } from "../state/send";
import { called, facts, live, may, now, outbox, sessions, world } from "../state/store";
import { whyFailed } from "./sessions";

export function Session({ id, asked }: { id: string; asked: string | null }) {
  const session = world.value.sessions[id];
  const history = world.value.timelines[id];
  const known = history !== undefined && history.before !== undefined;
  useEffect(() => {
    if (live.value && session && !known) void timeline(id, false);
  }, [id, live.value, session === undefined, known]);
  const back = { href: "#/", label: "Back to sessions" };
  if (!session) {
    return (
      <>
        <Bar title="Session" back={back} />
        <Scroll>
          <Trouble />
          <Freshness />
          <Empty title={live.value ? "This session is not there" : "Not known on this phone"}>
            {live.value
              ? "It was deleted, or it belongs to a project this phone does not see."
              : "It is asked for as soon as there is a connection."}
          </Empty>
        </Scroll>
      </>
    );
  }
  const typed = outbox.value.filter((item) => item.what.verb === "session:prompt" && item.what.sessionId === id);
  return (
    <>
      <Bar title={called(session)} back={back}>
        <StateChip session={session} />
      </Bar>
      <Scroll>
        <Trouble />
        <Question session={session} asked={asked} />
        <About session={session} />
        {typed.slice(-3).map((item) => (
          <div class="card" key={item.id}>
            <Sent item={item} />
          </div>
        ))}
        <History id={id} entries={history?.entries ?? []} before={history?.before} />
      </Scroll>
      {may("prompt") && !hasEnded(session) && !(isWaiting(session) && may("answer")) && (
        <Composer
          label="Type into its terminal"
          placeholder="Type into its terminal"
          onSend={(content) => send({ verb: "session:prompt", sessionId: id, content })}
        />
      )}
    </>
  );
}

function About({ session }: { session: Record }) {
  const face = session.teamMembers[0];
  const project = world.value.projects[session.projectId];
  const tasks = session.taskIds.flatMap((id) => world.value.tasks[id] ?? []);
  const parent = session.parentSessionId ? world.value.sessions[session.parentSessionId] : undefined;
  const children = sessions.value.filter((one) => one.parentSessionId === session.id);
  const why = whyFailed(session);
  return (
    <section class="about" aria-label="About this session">
      {why && (
        <p class="card is-failed">
          <Icon name="warn" size={20} />
          <span>
            {why}
            {session.failure && <span class="soft"> {clock(session.failure.at, now.value)}</span>}
          </span>
        </p>
      )}
      {stateOf(session) === "starting" && waitsForDesktop(session.id) && (
        <p class="card">
          <Icon name="clock" size={20} />
          <span>Queued: no desktop is connected that could open its terminal. It starts when one is.</span>
        </p>
      )}
      {stateOf(session) === "silent" && (
        <p class="card is-silent">
          <Icon name="warn" size={20} />
          <span>
            Its agent has not given a sign of life since {clock(lastSign(session), now.value)}. The process may hang.
          </span>
        </p>
      )}
      <dl class="facts">
        {face && (
          <Fact name="Member">{[face.avatar, face.name, face.role && `(${face.role})`].filter(Boolean).join(" ")}</Fact>
        )}
        {project && <Fact name="Project">{project.name}</Fact>}
        {tasks.length > 0 && (
          <Fact name={tasks.length === 1 ? "Task" : "Tasks"}>{tasks.map((task) => task.title).join(", ")}</Fact>
        )}
        <Fact name="Agent">
          {session.presence ? `${session.presence.verdict}, ` : ""}last sign {ago(lastSign(session), now.value)}
        </Fact>
        {parent && (
          <Fact name="Started by">
            <a href={href({ screen: "session", id: parent.id, request: null })}>{called(parent)}</a>
          </Fact>
        )}
        {children.length > 0 && (
          <Fact name="Started">
            {children.map((child, n) => (
              <span key={child.id}>
                {n > 0 && ", "}
                <a href={href({ screen: "session", id: child.id, request: null })}>{called(child)}</a>
              </span>
            ))}
          </Fact>
        )}
      </dl>
      {may("mail") && (
        <a
          class="button is-quiet is-small"
          href={href({ screen: "write", to: session.id, project: session.projectId })}
        >
          <Icon name="write" size={18} />
          Write mail
        </a>
      )}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const SYMBOLS: { [type: string]: string } = {
  needs_input: "bell",
  input_answered: "person",
  prompt_received: "terminal",
  error: "warn",
  task_failed: "warn",
  task_blocked: "warn",
  task_completed: "check",
  session_stopped: "check",
  doc_added: "doc",
  mail_received: "mail",
};

const WORDS: { [type: string]: string } = {
  session_started: "Session started",
  session_stopped: "Session ended",
  task_started: "Task started",
  task_completed: "Task done",
  task_failed: "Task failed",
  task_blocked: "Task blocked",
  task_skipped: "Task skipped",
  needs_input: "Asked",
  input_answered: "Answered",
  prompt_received: "Was told",
  milestone: "Milestone",
  progress: "Progress",
  error: "Error",
  doc_added: "Document",
};

function History({ id, entries, before }: { id: string; entries: Entry[]; before: number | null | undefined }) {
  const [busy, setBusy] = useState(false);
  const heading = useId();
  const more = async () => {
    setBusy(true);
    await timeline(id, true);
    setBusy(false);
  };
  let day = "";
  return (
    <section class="history" aria-labelledby={heading}>
      <div class="history-head">
        <h2 id={heading}>Timeline</h2>
        <Freshness />
      </div>
      <p class="footnote">What it prints is in your terminal at home; here is what it reports, newest first.</p>
      <ol class="entries">
        {entries.flatMap((entry) => {
          const today = entry.timestamp === null ? day : dayOf(entry.timestamp);
          const heads = today !== day && entry.timestamp !== null;
          day = today;
          const row = <Line key={entry.id} entry={entry} />;
          if (!heads || entry.timestamp === null) return [row];
          return [
            <li key={`day-${today}`} class="day">
              {dayName(entry.timestamp, now.value)}
            </li>,
            row,
          ];
        })}
      </ol>
      {entries.length === 0 && (
        <p class="soft">{facts.value.connected ? "Nothing yet." : "Not known on this phone."}</p>
      )}
      {typeof before === "number" && (
        <button type="button" class="button is-quiet" onClick={() => void more()} disabled={busy || !live.value}>
          {busy ? "Looking" : "Older"}
        </button>
      )}
    </section>
  );
}

function Line({ entry }: { entry: Entry }) {
  return (
    <li class={`entry is-${entry.type in SYMBOLS ? entry.type : "other"}`}>
      <Icon name={SYMBOLS[entry.type] ?? "dot"} size={18} />
      <div class="entry-main">
        <p class="entry-head">
          <span>{WORDS[entry.type] ?? entry.type.replaceAll("_", " ")}</span>
          {entry.timestamp !== null && <time>{clock(entry.timestamp, entry.timestamp)}</time>}
        </p>
        {entry.message && <p class="entry-text">{entry.message}</p>}
      </div>
    </li>
  );
}
