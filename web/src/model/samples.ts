/** For tests: records with everything in them. */

import type { Mail, Session } from "./wire";

export function session(id: string, change: Partial<Session> = {}): Session {
  return {
    id,
    projectId: "p",
    taskIds: [],
    name: id,
    status: "working",
    startedAt: 1,
    lastActivity: 1,
    completedAt: null,
    parentSessionId: null,
    needsInput: null,
    teamMemberId: null,
    teamMembers: [],
    failure: null,
    ...change,
  };
}

export function mail(id: string, change: Partial<Mail> = {}): Mail {
  return {
    id,
    projectId: "p",
    fromSessionId: "agent",
    toSessionId: "human",
    replyToMailId: null,
    type: "query",
    subject: id,
    createdAt: 1,
    threadId: id,
    ...change,
  };
}
