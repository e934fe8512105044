/** What things are called. */

import type { Session, Task } from "./wire";

/** A session by its name; one that was only numbered, by its task. */
export function titleOf(session: Session, tasks: Record<string, Task>): string {
  const numbered = session.taskIds.find((id) => session.name.includes(id));
  const title = numbered === undefined ? undefined : tasks[numbered]?.title;
  return title || session.name || session.teamMembers[0]?.name || session.id;
}
