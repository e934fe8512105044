/** Starting an agent from afar: a preset of the hub's own, a task, some words. Nothing else can be chosen. */

import { useEffect, useId, useState } from "preact/hooks";
import { stateOf } from "../model/attention";
import { href } from "../model/route";
import { taskGroup } from "../model/tasks";
import { Bar, Empty, Scroll, Trouble } from "../parts/frame";
import { Icon } from "../parts/icon";
import { members, team } from "../state/ask";
import { send } from "../state/send";
import { live, sessions, world } from "../state/store";

type Step = "project" | "member" | "words" | "confirm";

export function Start({ project, task }: { project: string | null; task: string | null }) {
  const projects = Object.values(world.value.projects).sort((a, b) => a.name.localeCompare(b.name));
  const only = projects.length === 1 ? (projects[0]?.id ?? null) : null;
  const [where, setWhere] = useState<string | null>(project ?? only);
  const [who, setWho] = useState<string | null>(null);
  const [step, setStep] = useState<Step>(where ? "member" : "project");
  const [what, setWhat] = useState(task ?? "");
  const [words, setWords] = useState("");
  const id = useId();
  useEffect(() => {
    if (where && live.value) void team(where);
  }, [where, live.value]);
  useEffect(() => {
    document.querySelector<HTMLElement>("#start-heading")?.focus();
  }, [step]);
  const presets = where ? members.value[where] : undefined;
  const preset = presets?.find((member) => member.id === who);
  const tasks = Object.values(world.value.tasks).filter(
    (one) => one.projectId === where && taskGroup(one.status) !== "done",
  );
  const chosen = tasks.find((one) => one.id === what);
  const busy = sessions.value.filter((one) => ["working", "starting", "asks", "silent"].includes(stateOf(one))).length;
  const ready = what !== "" || words.trim() !== "";
  const steps: Step[] = ["project", "member", "words", "confirm"];
  const back = () => setStep(steps[Math.max(0, steps.indexOf(step) - 1)] ?? "project");
  const first = step === "project" || (step === "member" && (only !== null || project !== null));
  const go = () => {
    if (!where || !who) return;
    const label = `${preset?.name ?? "Agent"}: ${chosen?.title ?? words.trim().split("\n")[0]}`;
    send({
      verb: "session:spawn",
      projectId: where,
      teamMemberId: who,
      taskIds: what ? [what] : [],
      message: words.trim() || null,
      label,
    });
    location.hash = "#/";
  };
  return (
    <>
      <Bar title="Start an agent" back={{ href: "#/", label: "Back to sessions" }} />
      <Scroll dimmed={false}>
        <Trouble />
        <div class="form">
          <p class="progress soft">
            Step {steps.indexOf(step) + 1} of {steps.length}
          </p>
          {step === "project" && (
            <>
              <Heading>In which project?</Heading>
              <ul class="rows">
                {projects.map((one) => (
                  <li key={one.id}>
                    <button
                      type="button"
                      class="row"
                      onClick={() => {
                        setWhere(one.id);
                        setStep("member");
                      }}
                    >
                      <span class="row-main">
                        <span class="row-name">{one.name}</span>
                        {one.description && <span class="row-more">{one.description}</span>}
                      </span>
                      <Icon name="next" size={18} />
                    </button>
                  </li>
                ))}
              </ul>
              {projects.length === 0 && <Empty title="No projects">Make one at the computer first.</Empty>}
            </>
          )}
          {step === "member" && (
            <>
              <Heading>Who?</Heading>
              <ul class="rows">
                {(presets ?? []).map((member) => (
                  <li key={member.id}>
                    <button
                      type="button"
                      class="row"
                      onClick={() => {
                        setWho(member.id);
                        setStep("words");
                      }}
                    >
                      <span class="avatar" aria-hidden="true">
                        {member.avatar || member.name.slice(0, 1)}
                      </span>
                      <span class="row-main">
                        <span class="row-name">{member.name}</span>
                        <span class="row-more">
                          {[member.role, member.agentTool, member.model].filter(Boolean).join(", ")}
                        </span>
                      </span>
                      <Icon name="next" size={18} />
                    </button>
                  </li>
                ))}
              </ul>
              {presets === undefined && (
                <p class="soft">{live.value ? "Looking" : "The team is asked for when there is a connection."}</p>
              )}
            </>
          )}
          {step === "words" && (
            <>
              <Heading>What for?</Heading>
              <label class="field-label" for={`${id}-task`}>
                Task
              </label>
              <select id={`${id}-task`} value={what} onChange={(event) => setWhat(event.currentTarget.value)}>
                <option value="">A new one, from your message</option>
                {tasks.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.title}
                  </option>
                ))}
              </select>
              <label class="field-label" for={`${id}-words`}>
                First message{what ? " (optional)" : ""}
              </label>
              <textarea
                id={`${id}-words`}
                rows={4}
                value={words}
                onInput={(event) => setWords(event.currentTarget.value)}
              />
              <button type="button" class="button" disabled={!ready} onClick={() => setStep("confirm")}>
                Continue
              </button>
            </>
          )}
          {step === "confirm" && (
            <>
              <Heading>Start {preset?.name}?</Heading>
              <dl class="facts card">
                <div>
                  <dt>Project</dt>
                  <dd>{world.value.projects[where ?? ""]?.name}</dd>
                </div>
                <div>
                  <dt>Member</dt>
                  <dd>
                    {[preset?.avatar, preset?.name, preset?.role && `(${preset.role})`].filter(Boolean).join(" ")}
                  </dd>
                </div>
                <div>
                  <dt>Task</dt>
                  <dd>{chosen?.title ?? "A new one"}</dd>
                </div>
                {words.trim() && (
                  <div>
                    <dt>Message</dt>
                    <dd class="pre">{words.trim()}</dd>
                  </div>
                )}
                <div>
                  <dt>At work now</dt>
                  <dd>{busy === 1 ? "1 agent" : `${busy} agents`}</dd>
                </div>
              </dl>
              <p class="footnote">Program, directory and permissions are the member's own, as set at the computer.</p>
              <button type="button" class="button" onClick={go}>
                {live.value ? "Start" : "Start when connected"}
              </button>
            </>
          )}
          {!first && (
            <button type="button" class="button is-quiet" onClick={back}>
              One step back
            </button>
          )}
          {first && step === "member" && (
            <a class="button is-quiet" href={href({ screen: "sessions" })}>
              Cancel
            </a>
          )}
        </div>
      </Scroll>
    </>
  );
}

function Heading({ children }: { children: preact.ComponentChildren }) {
  return (
    <h2 id="start-heading" tabIndex={-1}>
      {children}
    </h2>
  );
}
