/** Tasks of a project. */

import { useId } from "preact/hooks";
import { age } from "../model/age";
import { href } from "../model/route";
import { groupedTasks, type TaskGroup, taskWord } from "../model/tasks";
import type { Task } from "../model/wire";
import { Bar, Empty, Freshness, Scroll, Trouble } from "../parts/frame";
import { Icon, StateChip } from "../parts/icon";
import { Prose } from "../parts/prose";
import { called, may, now, world } from "../state/store";

const HEADINGS: Record<TaskGroup, string> = { blocked: "Stuck", active: "In progress", open: "To do", done: "Done" };

export function Tasks({ project }: { project: string | null }) {
  const id = useId();
  const projects = Object.values(world.value.projects).sort((a, b) => a.name.localeCompare(b.name));
  const where = project ?? projects[0]?.id ?? null;
  const tasks = Object.values(world.value.tasks).filter((task) => task.projectId === where);
  const groups = groupedTasks(tasks);
  return (
    <>
      <Bar title="Tasks" />
      <Scroll>
        <Trouble />
        <Freshness />
        {projects.length > 1 && (
          <div class="form is-inline">
            <label class="field-label" for={id}>
              Project
            </label>
            <select
              id={id}
              value={where ?? ""}
              onChange={(event) => {
                location.hash = href({ screen: "tasks", project: event.currentTarget.value });
              }}
            >
              {projects.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                </option>
              ))}
            </select>
          </div>
        )}
        {groups.map(({ group, tasks: list }) => (
          <section key={group} class="group" aria-labelledby={`${id}-${group}`}>
            <h2 id={`${id}-${group}`}>
              {HEADINGS[group]} <span class="count">{list.length}</span>
            </h2>
            <ul class="rows">
              {list.map((task) => (
                <li key={task.id}>
                  <Row task={task} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {tasks.length === 0 && world.value.asOf !== null && <Empty title="No tasks here" />}
      </Scroll>
    </>
  );
}

function Row({ task }: { task: Task }) {
  const at = task.sessionIds.flatMap((id) => world.value.sessions[id] ?? []);
  return (
    <details class="task">
      <summary class="row">
        <span class="row-main">
          <span class="row-head">
            <span class="row-name">{task.title}</span>
            <time class="row-age">{age(task.updatedAt, now.value)}</time>
          </span>
          <span class="row-sub">
            <span>{taskWord(task.status)}</span>
            {task.priority && task.priority !== "medium" && <span class="tag">{task.priority}</span>}
            {at.length > 0 && <span>{at.length === 1 ? "1 session" : `${at.length} sessions`}</span>}
          </span>
        </span>
        <Icon name="next" size={18} />
      </summary>
      <div class="task-more">
        {task.description ? <Prose text={task.description} /> : <p class="soft">No description.</p>}
        {at.map((session) => (
          <a key={session.id} class="inline-session" href={href({ screen: "session", id: session.id, request: null })}>
            <StateChip session={session} /> {called(session)}
          </a>
        ))}
        {may("spawn") && (
          <a class="button is-quiet is-small" href={href({ screen: "start", project: task.projectId, task: task.id })}>
            <Icon name="plus" size={18} />
            Start an agent on it
          </a>
        )}
      </div>
    </details>
  );
}
