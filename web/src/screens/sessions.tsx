/** All sessions, who needs me first. */

import { age, ago } from "../model/age";
import { type Group, grouped, lastSign, stateOf, stateWord } from "../model/attention";
import { href } from "../model/route";
import { firstLine } from "../model/text";
import type { Session } from "../model/wire";
import { Bar, Empty, Freshness, Scroll, Trouble } from "../parts/frame";
import { Icon, StateIcon } from "../parts/icon";
import { Sent } from "../parts/sent";
import { waitsForDesktop } from "../state/send";
import { called, facts, may, now, outbox, route, sessions, truth, world } from "../state/store";

const HEADINGS: Record<Group, string> = {
  you: "Needs you",
  trouble: "Trouble",
  busy: "At work",
  idle: "Idle",
  over: "Over",
};

export function Sessions() {
  const groups = grouped(sessions.value, now.value);
  const starting = outbox.value.filter((item) => item.what.verb === "session:spawn" && item.fate.state !== "sent");
  return (
    <>
      <Bar title="Sessions">
        {may("spawn") && (
          <a class="button is-small" href={href({ screen: "start", project: null, task: null })}>
            <Icon name="plus" size={18} />
            Start
          </a>
        )}
      </Bar>
      <Scroll>
        <Strip />
        <Trouble />
        <Freshness />
        {starting.map((item) => (
          <div class="card" key={item.id}>
            <Sent item={item} />
          </div>
        ))}
        {groups.map(({ group, sessions: list }) => (
          <section key={group} class={`group is-${group}`} aria-labelledby={`group-${group}`}>
            <h2 id={`group-${group}`}>
              {HEADINGS[group]} <span class="count">{list.length}</span>
            </h2>
            <ul class="rows">
              {list.map((session) => (
                <li key={session.id}>
                  <Row session={session} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {groups.length === 0 && world.value.asOf !== null && (
          <Empty title="No sessions yet">
            {may("spawn")
              ? "Start an agent, here or at the computer, and it appears."
              : "An agent that is started at the computer appears here at once."}
          </Empty>
        )}
      </Scroll>
    </>
  );
}

/** Hub, tunnel and agents, each by itself. */
function Strip() {
  const { hub, tunnel } = truth.value;
  const waiting = sessions.value.filter((session) => stateOf(session) === "asks").length;
  return (
    <ul class="strip" aria-label="How things stand">
      <Part icon="hub" name="Hub" good={hub} />
      {!facts.value.local && (
        <Part icon="tunnel" name="Tunnel" good={tunnel} note={facts.value.trial ? "trial" : null} />
      )}
      <li class={waiting > 0 ? "part is-waiting" : "part"}>
        <StateIcon state={waiting > 0 ? "asks" : "done"} size={18} />
        {waiting === 0 ? "Nobody waits" : waiting === 1 ? "1 waits for you" : `${waiting} wait for you`}
      </li>
    </ul>
  );
}

function Part({
  icon,
  name,
  good,
  note = null,
}: {
  icon: string;
  name: string;
  good: boolean | null;
  note?: string | null;
}) {
  const word = good === null ? "not known" : good ? "ok" : "down";
  return (
    <li class={good === false ? "part is-down" : "part"}>
      <Icon name={icon} size={18} />
      {name} {word}
      {note && <span class="tag">{note}</span>}
    </li>
  );
}

function Row({ session }: { session: Session }) {
  const state = stateOf(session);
  const current = route.value.screen === "session" && route.value.id === session.id;
  const face = session.teamMembers[0];
  const project = world.value.projects[session.projectId]?.name;
  const more = moreOf(session);
  const seen = lastSign(session);
  const waits = state === "asks" ? (session.needsInput?.since ?? null) : null;
  return (
    <a
      class={`row is-${state}`}
      href={href({ screen: "session", id: session.id, request: null })}
      aria-current={current ? "page" : undefined}
    >
      <StateIcon state={state} />
      <span class="row-main">
        <span class="row-head">
          <span class="row-name">{called(session)}</span>
          <time
            class="row-age"
            title={
              waits === null ? `Last sign of life ${ago(seen, now.value)}` : `Waits since ${ago(waits, now.value)}`
            }
          >
            {waits === null ? age(seen, now.value) : waitWord(age(waits, now.value))}
          </time>
        </span>
        <span class="row-sub">
          <span class={`state-word is-${state}`}>{stateWord(session)}</span>
          {face && <span>{[face.name !== session.name ? face.name : null, face.role].filter(Boolean).join(", ")}</span>}
          {project && <span class="row-project">{project}</span>}
        </span>
        {more && <span class={`row-more is-${state}`}>{more}</span>}
      </span>
    </a>
  );
}

const waitWord = (age: string) => (age === "now" ? "just asked" : `waits ${age}`);

/** What is worth a line of its own. */
function moreOf(session: Session): string {
  switch (stateOf(session)) {
    case "asks":
      return firstLine(session.needsInput?.message ?? "");
    case "failed":
      return whyFailed(session);
    case "starting":
      return waitsForDesktop(session.id) ? "No desktop is connected that could open its terminal." : "";
    default:
      return "";
  }
}

export function whyFailed(session: Session): string {
  if (stateOf(session) !== "failed" || !session.failure) return "";
  const { reason } = session.failure;
  return reason === "agent_disconnected"
    ? "Its agent is gone: the process ended or was not heard of any more."
    : reason;
}
