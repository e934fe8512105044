/** Tasks under headings. Statuses are texts: clients may write any. */

import type { Task } from "./wire";

export const TASK_GROUPS = ["blocked", "active", "open", "done"] as const;
export type TaskGroup = (typeof TASK_GROUPS)[number];

export function taskGroup(status: string): TaskGroup {
  switch (status) {
    case "blocked":
    case "failed":
      return "blocked";
    case "in_progress":
    case "working":
    case "in_review":
      return "active";
    case "completed":
    case "done":
    case "cancelled":
    case "archived":
      return "done";
    default:
      return "open";
  }
}

/** Tasks under their headings, the one that moved last first, without empty headings. */
export function groupedTasks(tasks: Task[]): { group: TaskGroup; tasks: Task[] }[] {
  const sorted = [...tasks].sort((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? -1 : 1));
  return TASK_GROUPS.map((group) => ({
    group,
    tasks: sorted.filter((task) => taskGroup(task.status) === group),
  })).filter(({ tasks: found }) => found.length > 0);
}

/** `in_progress` as people write it. */
export function taskWord(status: string): string {
  const words = status.replaceAll("_", " ").trim();
  return words ? words[0]!.toUpperCase() + words.slice(1) : "Unknown";
}
