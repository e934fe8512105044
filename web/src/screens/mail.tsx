/** Mail: conversations, one of them, and a new one. */

import { useEffect, useId, useState } from "preact/hooks";
import { age, clock } from "../model/age";
import { href } from "../model/route";
import { firstLine } from "../model/text";
import { type Audience, bodyText, type Thread as Conversation, isUnread, leads, recipients } from "../model/threads";
import { HUMAN, type Mail as Letter } from "../model/wire";
import { Composer } from "../parts/composer";
import { Bar, Empty, Freshness, Scroll, Trouble } from "../parts/frame";
import { Icon } from "../parts/icon";
import { Prose } from "../parts/prose";
import { Sent } from "../parts/sent";
import { conversation, markRead } from "../state/ask";
import { send } from "../state/send";
import { called, device, live, may, now, outbox, readAt, route, sessions, threads, world } from "../state/store";

/** What a session is called. */
function named(id: string | null): string {
  if (id === null) return "everybody";
  if (id === HUMAN) return "people";
  const session = world.value.sessions[id];
  return session ? called(session) : id;
}

/** Who wrote it: proved, or only said. */
function authorOf(mail: Letter): string {
  if (mail.fromSessionId !== HUMAN) return named(mail.fromSessionId);
  const by = mail.sender?.device;
  if (!by) return "Somebody at the computer";
  return by.id === device.value?.id ? "You" : by.name;
}

export function Mail() {
  const waiting = outbox.value.filter(
    (item) => item.what.verb === "mail:send" && item.fate.state !== "sent" && item.what.threadId === null,
  );
  return (
    <>
      <Bar title="Mail">
        <a class="button is-small" href={href({ screen: "write", to: null, project: null })}>
          <Icon name="write" size={18} />
          Write
        </a>
      </Bar>
      <Scroll>
        <Trouble />
        <Freshness />
        {waiting.map((item) => (
          <div class="card" key={item.id}>
            <Sent item={item} />
          </div>
        ))}
        <ul class="rows" aria-label="Conversations">
          {threads.value.map((thread) => (
            <li key={thread.id}>
              <Row thread={thread} />
            </li>
          ))}
        </ul>
        {threads.value.length === 0 && world.value.asOf !== null && (
          <Empty title="No mail">What agents write to people, and what you write to them, is here.</Empty>
        )}
      </Scroll>
    </>
  );
}

function Row({ thread }: { thread: Conversation }) {
  const unread = isUnread(thread, readAt.value);
  const current = route.value.screen === "thread" && route.value.id === thread.id;
  const { latest } = thread;
  return (
    <a
      class={unread ? "row is-unread" : "row"}
      href={href({ screen: "thread", id: thread.id })}
      aria-current={current ? "page" : undefined}
    >
      <span class="unread-mark">{unread && <span class="unread-dot" />}</span>
      <span class="row-main">
        <span class="row-head">
          <span class="row-name">{thread.with.map(named).join(", ") || "Everybody"}</span>
          {latest.priority === "critical" || latest.priority === "high" ? (
            <span class="tag">{latest.priority}</span>
          ) : null}
          <time class="row-age">{age(latest.createdAt, now.value)}</time>
        </span>
        <span class="row-sub">
          {unread && <span class="state-word is-asks">Unread</span>}
          <span class="row-subject">{thread.subject}</span>
        </span>
        {latest.body !== undefined && (
          <span class="row-more">
            {latest.fromSessionId === HUMAN ? `${authorOf(latest)}: ` : ""}
            {firstLine(bodyText(latest.body))}
          </span>
        )}
      </span>
    </a>
  );
}

export function Thread({ id }: { id: string }) {
  const thread = threads.value.find((one) => one.id === id);
  const whole = thread?.mails.every((mail) => mail.body !== undefined && !mail.truncated) ?? false;
  const newest = thread?.latest.createdAt ?? 0;
  useEffect(() => {
    if (live.value) void conversation(id);
  }, [id, live.value, whole]);
  useEffect(() => {
    if (newest > 0) markRead(id, newest);
  }, [id, newest]);
  const back = { href: "#/mail", label: "Back to mail" };
  if (!thread) {
    return (
      <>
        <Bar title="Conversation" back={back} />
        <Scroll>
          <Trouble />
          <Freshness />
          <Empty title={live.value ? "This conversation is not there" : "Not known on this phone"} />
        </Scroll>
      </>
    );
  }
  const pending = outbox.value.filter(
    (item) => item.what.verb === "mail:send" && item.what.threadId === id && !arrived(thread, item.fate),
  );
  const partner =
    thread.mails.findLast((mail) => mail.fromSessionId !== HUMAN)?.fromSessionId ?? thread.with[0] ?? null;
  return (
    <>
      <Bar title={thread.subject} back={back} />
      <Scroll>
        <Trouble />
        <Freshness />
        <ol class="bubbles" aria-label="Mails">
          {thread.mails.map((mail) => (
            <li key={mail.id} class={mail.fromSessionId === HUMAN ? "bubble is-mine" : "bubble"}>
              <p class="bubble-head">
                <strong>{authorOf(mail)}</strong>
                <span class="soft">
                  to {named(mail.toSessionId)}, {clock(mail.createdAt, now.value)}
                </span>
                {mail.fromSessionId !== HUMAN && mail.sender?.verified !== true && (
                  <span class="tag">sender not proved</span>
                )}
              </p>
              {mail.body === undefined ? (
                <p class="soft">Its text is on its way.</p>
              ) : (
                <Prose text={bodyText(mail.body) || mail.subject} />
              )}
              {mail.fromSessionId === HUMAN && <p class="bubble-fate soft">Delivered to its inbox</p>}
            </li>
          ))}
          {pending.map((item) => (
            <li key={item.id} class="bubble is-mine">
              <Sent item={item} />
            </li>
          ))}
        </ol>
      </Scroll>
      {may("mail") && (
        <Composer
          label={`Reply to ${named(partner)}`}
          placeholder={`Reply to ${named(partner)}`}
          onSend={(message) =>
            send({
              verb: "mail:send",
              projectId: thread.projectId,
              toSessionId: partner,
              scope: null,
              subject: thread.subject.startsWith("Re: ") ? thread.subject : `Re: ${thread.subject}`.slice(0, 500),
              message,
              priority: null,
              replyToMailId: thread.latest.id,
              threadId: id,
            })
          }
        />
      )}
    </>
  );
}

function arrived(thread: Conversation, fate: { state: string; ids?: string[] }): boolean {
  return fate.state === "sent" && (fate.ids ?? []).some((id) => thread.mails.some((mail) => mail.id === id));
}

const ACTIVE = new Set(["working", "idle", "spawning"]);

/** A new mail. Whom it goes to is counted and named before it is sent. */
export function Write({ to, project }: { to: string | null; project: string | null }) {
  const projects = Object.values(world.value.projects).sort((a, b) => a.name.localeCompare(b.name));
  const [chosen, setWhere] = useState(project);
  const where = chosen ?? projects[0]?.id ?? "";
  const [whom, setWhom] = useState(to ? `session:${to}` : "");
  const [subject, setSubject] = useState("");
  const [message, setMessage] = useState("");
  const [priority, setPriority] = useState("normal");
  const id = useId();
  const here = sessions.value.filter((session) => session.projectId === where);
  const reachable = here.filter((session) => ACTIVE.has(session.status) || session.id === to);
  const audience = audienceOf(whom);
  const goes = audience ? recipients(audience, where, sessions.value) : [];
  const ready = goes.length > 0 && message.trim() !== "";
  const submit = (event: Event) => {
    event.preventDefault();
    if (!ready || !audience) return;
    send({
      verb: "mail:send",
      projectId: where,
      toSessionId: audience.kind === "session" ? audience.id : audience.kind === "team" ? audience.lead : null,
      scope:
        audience.kind === "team"
          ? "team"
          : audience.kind === "workers"
            ? "my-workers"
            : audience.kind === "all"
              ? "all"
              : null,
      subject: (subject.trim() || firstLine(message)).slice(0, 200),
      message: message.trim(),
      priority: priority === "normal" ? null : priority,
      replyToMailId: null,
      threadId: null,
    });
    location.hash = "#/mail";
  };
  return (
    <>
      <Bar title="Write" back={{ href: "#/mail", label: "Back to mail" }} />
      <Scroll dimmed={false}>
        <Trouble />
        <form class="form" onSubmit={submit}>
          {projects.length > 1 && (
            <>
              <label class="field-label" for={`${id}-project`}>
                Project
              </label>
              <select
                id={`${id}-project`}
                value={where}
                onChange={(event) => {
                  setWhere(event.currentTarget.value);
                  setWhom("");
                }}
              >
                {projects.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.name}
                  </option>
                ))}
              </select>
            </>
          )}
          <label class="field-label" for={`${id}-to`}>
            To
          </label>
          <select id={`${id}-to`} value={whom} onChange={(event) => setWhom(event.currentTarget.value)}>
            <option value="" disabled>
              Choose whom
            </option>
            <optgroup label="One agent">
              {reachable.map((session) => (
                <option key={session.id} value={`session:${session.id}`}>
                  {called(session)}
                </option>
              ))}
            </optgroup>
            <optgroup label="Several">
              {leads(where, sessions.value).map((lead) => (
                <option key={lead.id} value={`team:${lead.id}`}>
                  The team of {called(lead)}
                </option>
              ))}
              <option value="workers">My workers: all that people have started</option>
              <option value="all">Everybody at work in the project</option>
            </optgroup>
          </select>
          <p class="recipients" role="status">
            <Icon name="person" size={18} />
            {audience === null
              ? "Nobody chosen yet"
              : goes.length === 0
                ? "Nobody would get it: nobody there is at work"
                : `Goes to ${goes.length} ${goes.length === 1 ? "agent" : "agents"}: ${goes.map(called).join(", ")}`}
          </p>
          <label class="field-label" for={`${id}-subject`}>
            Subject (optional)
          </label>
          <input
            id={`${id}-subject`}
            type="text"
            maxLength={200}
            value={subject}
            onInput={(event) => setSubject(event.currentTarget.value)}
          />
          <label class="field-label" for={`${id}-message`}>
            Message
          </label>
          <textarea
            id={`${id}-message`}
            rows={5}
            value={message}
            onInput={(event) => setMessage(event.currentTarget.value)}
          />
          <label class="field-label" for={`${id}-priority`}>
            Priority
          </label>
          <select id={`${id}-priority`} value={priority} onChange={(event) => setPriority(event.currentTarget.value)}>
            <option value="low">Low</option>
            <option value="normal">Normal</option>
            <option value="high">High</option>
            <option value="critical">Critical</option>
          </select>
          <button type="submit" class="button" disabled={!ready}>
            {live.value ? "Send mail" : "Send when connected"}
          </button>
        </form>
      </Scroll>
    </>
  );
}

function audienceOf(whom: string): Audience | null {
  const [kind, id] = [whom.split(":", 1)[0], whom.slice(whom.indexOf(":") + 1)];
  switch (kind) {
    case "session":
      return { kind, id };
    case "team":
      return { kind, lead: id };
    case "workers":
    case "all":
      return { kind };
    default:
      return null;
  }
}
