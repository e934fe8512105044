/** What the hub says, as `src/hub/phone` writes it. Texts in it are other people's: they are shown, never interpreted. */

export type Scope = "view" | "answer" | "mail" | "prompt" | "spawn" | "admin";

export interface Project {
  id: string;
  name: string;
  description: string;
}

export interface Task {
  id: string;
  projectId: string;
  title: string;
  description: string;
  status: string;
  priority: string;
  createdAt: number;
  updatedAt: number;
  sessionIds: string[];
  teamMemberId: string | null;
}

export interface Answerer {
  kind: "local" | "agent" | "device";
  id?: string;
  name: string;
}

export interface Question {
  active: boolean;
  message: string | null;
  since: number | null;
  requestId?: string;
  answeredBy?: Answerer;
  answeredAt?: number;
  /** As the agent gave them: texts, or objects with `id`, `value` or `label`. */
  options?: unknown;
}

export interface Face {
  name: string;
  avatar: string;
  role: string;
}

export type Verdict = "alive" | "silent" | "crashed" | "lost" | "unknown";

export interface Presence {
  verdict: Verdict;
  lastSeen: number | null;
}

export interface Session {
  id: string;
  projectId: string;
  taskIds: string[];
  name: string;
  status: string;
  startedAt: number;
  lastActivity: number;
  completedAt: number | null;
  parentSessionId: string | null;
  agentId?: string;
  needsInput: Question | null;
  teamMemberId: string | null;
  teamMembers: Face[];
  failure: { reason: string; at: number } | null;
  timelineLength?: number;
  presence?: Presence | null;
}

export interface Entry {
  id: string;
  type: string;
  timestamp: number | null;
  message?: string | null;
  taskId?: string;
}

export interface Mail {
  id: string;
  projectId: string;
  fromSessionId: string;
  toSessionId: string | null;
  replyToMailId: string | null;
  type: string;
  subject: string;
  body?: Record<string, unknown>;
  createdAt: number;
  priority?: string | null;
  threadId: string;
  sender?: { kind: "agent" | "human"; verified: boolean; device?: { id: string; name: string } };
  truncated?: boolean;
}

export interface Member {
  id: string;
  projectId: string;
  name: string;
  role: string;
  avatar: string;
  model: string | null;
  agentTool: string | null;
  isDefault: boolean;
  status: string;
}

export interface Hello {
  epoch: string;
  seq: number;
  scopes: Scope[];
  timestamp: number;
  build?: string;
  trial?: boolean;
  device?: Device | null;
  version?: string;
}

export interface Device {
  id: string;
  name: string;
  scopes: Scope[];
  projects: string[];
  pairedAt?: number;
  lastSeen?: number;
}

export interface HubEvent {
  event: string;
  data: unknown;
  timestamp: number;
  epoch: string;
  seq: number;
}

export interface Snapshot {
  reset: true;
  reason: string;
  epoch: string;
  cursor: number;
  projects?: Project[];
  sessions?: Session[];
  tasks?: Task[];
  mail?: Mail[];
}

export interface Missed {
  reset?: undefined;
  epoch: string;
  seq: number;
  events: HubEvent[];
  more: boolean;
}

/** An acknowledgement. */
export type Ack<T = Record<string, unknown>> =
  | ({ success: true } & T)
  | { success: false; error: string; code: string; retryAfter?: number; answeredBy?: Answerer; answeredAt?: number };

/** Sessions and people are addressed alike; this one is people. */
export const HUMAN = "human";
