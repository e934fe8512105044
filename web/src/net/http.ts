/** Plain requests: pairing, what this device is, push. Everything else goes over the socket. */

import { asRefusal, type Probe, probed, type Refusal } from "../model/link";
import { token } from "./token";

export interface Answer {
  ok: boolean;
  status: number;
  /** What the hub said; null if it was not the hub that answered. */
  body: Record<string, unknown> | null;
}

/** Longest wait for an answer. */
const PATIENCE = 15_000;

/** Rejects only if nobody answered. */
export async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = {};
  const half = await token();
  if (half) headers["X-Maestro-Device"] = half;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(PATIENCE),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  let told: unknown = null;
  if (response.headers.get("content-type")?.includes("json")) told = await response.json().catch(() => null);
  const isOurs = typeof told === "object" && told !== null;
  return { ok: response.ok, status: response.status, body: isOurs ? (told as Record<string, unknown>) : null };
}

/** Asks plainly why the socket may be away. */
export async function whyNot(local: boolean): Promise<{ probe: Probe; refusal: Refusal | null }> {
  try {
    const answer = await ask("GET", local ? "/health" : "/api/devices/me");
    const refusal = answer.ok ? null : asRefusal(answer.body?.["code"]);
    return { probe: probed(answer.status, answer.body !== null), refusal };
  } catch {
    return { probe: { kind: "nobody" }, refusal: null };
  }
}

/** An answer's own words, or that it had none. */
export function wordsOf(answer: Answer): string {
  const message = answer.body?.["message"];
  if (typeof message === "string" && message) return message.slice(0, 1).toUpperCase() + message.slice(1);
  return `The hub did not answer as expected (${answer.status}).`;
}
