/** The question an agent waits with, and the answer to it. Bound to the name of that one question: another question is
 * another card, and nothing written for one is ever sent to the other. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ago, clock } from "../model/age";
import { choices, isWaiting } from "../model/attention";
import { howWords } from "../model/outbox";
import { firstLine } from "../model/text";
import type { Answerer, Session } from "../model/wire";
import { last, send } from "../state/send";
import { called, device, facts, may, now } from "../state/store";
import { Icon, StateIcon } from "./icon";
import { Prose } from "./prose";
import { Sent } from "./sent";

/** `asked`: the question a notification was about, if one led here. */
export function Question({ session, asked }: { session: Session; asked: string | null }) {
  const question = session.needsInput;
  const open = isWaiting(session);
  const name = question?.requestId ?? null;
  // What was written for a question that is not there any more.
  const [orphan, setOrphan] = useState<string | null>(null);
  const draft = useRef("");
  useEffect(() => {
    draft.current = "";
    return () => {
      if (draft.current.trim()) setOrphan(draft.current);
    };
  }, [name, open]);
  const mine = last((what) => what.verb === "session:reply-input" && what.sessionId === session.id);
  const unsettled = mine !== null && mine.fate.state !== "sent" ? mine : null;
  const aboutThis = mine?.what.verb === "session:reply-input" && mine.what.requestId === name;
  return (
    <div class="question-place">
      <p class="visually-hidden" role="status">
        {open ? `${askerOf(session)} needs you: ${firstLine(question?.message ?? "")}` : ""}
      </p>
      {asked !== null && asked !== name && (
        <p class="notice">
          <Icon name="clock" size={18} />
          <span>
            The notification was about an earlier question, which is over.{" "}
            {open ? "This is the one that is open now." : "Nothing is open now."}
          </span>
        </p>
      )}
      {orphan !== null && (
        <div class="notice">
          <Icon name="warn" size={18} />
          <div>
            The question changed while you wrote. Your words were not sent:
            <blockquote>{orphan}</blockquote>
            <button type="button" class="small-button is-quiet" onClick={() => setOrphan(null)}>
              Discard
            </button>
          </div>
        </div>
      )}
      {open && question ? (
        <section class="card is-asks" aria-label="Question">
          <header class="card-head">
            <StateIcon state="asks" size={22} />
            <h2>{askerOf(session)} needs you</h2>
            {question.since !== null && <time class="soft">{ago(question.since, now.value)}</time>}
          </header>
          <Prose text={question.message ?? "It waits for input, and does not say for what."} />
          {may("answer") && name !== null ? (
            unsettled && aboutThis && unsettled.fate.state !== "failed" ? (
              <Sent item={unsettled} />
            ) : (
              <>
                {unsettled && aboutThis && <Sent item={unsettled} />}
                <AnswerForm
                  key={name}
                  session={session}
                  request={name}
                  options={question.options}
                  onDraft={(text) => {
                    draft.current = text;
                  }}
                />
              </>
            )
          ) : (
            <p class="soft">
              {name === null
                ? "The question has no name yet, so it can be answered at the computer only."
                : "This phone may look, not answer."}
            </p>
          )}
          <p class="footnote">Also visible on the computer. The first answer counts.</p>
        </section>
      ) : (
        <Answered session={session} />
      )}
      {unsettled && !aboutThis && <Sent item={unsettled} />}
    </div>
  );
}

function AnswerForm({
  session,
  request,
  options,
  onDraft,
}: {
  session: Session;
  request: string;
  options: unknown;
  onDraft: (text: string) => void;
}) {
  const offered = choices(options);
  const [choice, setChoice] = useState<string | null>(null);
  const [text, setText] = useState("");
  const field = useId();
  const ready = choice !== null || text.trim() !== "";
  const submit = (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    onDraft("");
    send({ verb: "session:reply-input", sessionId: session.id, requestId: request, text: text.trim(), choice });
  };
  return (
    <form class="answer" onSubmit={submit}>
      {offered.length > 0 && (
        <fieldset class="options">
          <legend class="visually-hidden">Options</legend>
          {offered.map((option) => (
            <label key={option.value} class={choice === option.value ? "option is-chosen" : "option"}>
              <input
                type="radio"
                name={`${field}-choice`}
                value={option.value}
                checked={choice === option.value}
                onChange={() => setChoice(option.value)}
              />
              <span>
                {option.label}
                {option.detail && <small>{option.detail}</small>}
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <label class="field-label" for={field}>
        {offered.length > 0 ? "In your own words (optional)" : "Your answer"}
      </label>
      <textarea
        id={field}
        rows={offered.length > 0 ? 1 : 2}
        value={text}
        enterkeyhint="send"
        onInput={(event) => {
          setText(event.currentTarget.value);
          onDraft(event.currentTarget.value);
        }}
      />
      <button type="submit" class="button" disabled={!ready}>
        {facts.value.connected ? "Send answer" : "Send when connected"}
      </button>
    </form>
  );
}

/** How the last question ended. */
function Answered({ session }: { session: Session }) {
  const question = session.needsInput;
  if (!question?.answeredBy || !question.answeredAt) return null;
  const mine = last(
    (what) =>
      what.verb === "session:reply-input" && what.sessionId === session.id && what.requestId === question.requestId,
  );
  const who = nameOf(question.answeredBy);
  const how = who === "you" && mine?.fate.state === "sent" ? howWords(mine.fate.how) : null;
  return (
    <section class="card is-answered" aria-label="Answered question">
      <header class="card-head">
        <Icon name="check" size={20} />
        <h2>
          Answered by {who} {clock(question.answeredAt, now.value)}
        </h2>
      </header>
      {how && <p class="soft">{how}</p>}
      {mine && mine.fate.state === "failed" && <Sent item={mine} />}
    </section>
  );
}

function nameOf(by: Answerer): string {
  if (by.kind === "device" && by.id !== undefined && by.id === device.value?.id) return "you";
  return by.kind === "local" && by.name === "here" ? "somebody at the computer" : by.name;
}

function askerOf(session: Session): string {
  return session.teamMembers[0]?.name || called(session);
}
