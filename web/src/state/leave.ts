/** The end of a pairing, by this device itself, and its beginning. */

import { ask, wordsOf } from "../net/http";
import { remember } from "../net/token";
import { connect, leave } from "./socket";
import { know } from "./store";

/** Signs out. Null if it is done, else why not. */
export async function signOut(): Promise<string | null> {
  try {
    const answer = await ask("DELETE", "/api/devices/me");
    if (!answer.ok && answer.status !== 401) return wordsOf(answer);
  } catch {
    return "The hub cannot be reached, so it cannot be told. Try again, or revoke this device at home: maestroctl devices";
  }
  await leave();
  know({ refusal: null, connected: false, synced: false });
  location.hash = "#/pair";
  return null;
}

/** Redeems a code. Null if this phone is paired now, else why not. */
export async function pair(code: string, name: string): Promise<string | null> {
  try {
    const answer = await ask("POST", "/pair", { code, name });
    const half = answer.body?.["token"];
    if (!answer.ok || typeof half !== "string") return wordsOf(answer);
    await remember(half);
  } catch (error) {
    if (error instanceof DOMException && error.name !== "TimeoutError") {
      return "This browser keeps nothing (is it in private mode?), so it cannot be paired.";
    }
    return "The hub cannot be reached. Is this phone online?";
  }
  history.replaceState(null, "", "/#/");
  know({ refusal: null });
  window.dispatchEvent(new HashChangeEvent("hashchange"));
  await connect();
  return null;
}
