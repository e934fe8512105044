/** Notifications of this device: on or off, of what, saying how much, and whether the last one arrived. */

import { useEffect, useState } from "preact/hooks";
import { ago, clock } from "../model/age";
import {
  choose,
  disable,
  enable,
  KINDS,
  type Kind,
  type Privacy,
  type Settings,
  settings,
  test,
  whyNot,
} from "../net/push";
import { live, now } from "../state/store";
import { Icon } from "./icon";

const KIND_WORDS: Record<Kind, string> = {
  needsInput: "An agent needs you",
  failed: "A session failed",
  finished: "A session finished",
  mail: "Mail to people",
  devices: "A new device was paired",
};

const PRIVACY: [Privacy, string, string][] = [
  ["nothing", "Nothing", "“An agent needs you”"],
  ["names", "Names", "“Reviewer needs you”"],
  ["preview", "Preview", "The first line of the question too"],
];

const ALL: Record<Kind, boolean> = { needsInput: true, failed: true, finished: true, mail: true, devices: true };

export function Notifications() {
  const [known, setKnown] = useState<Settings | null | undefined>(undefined);
  const [said, setSaid] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (live.value) void look();
  }, [live.value]);
  async function look() {
    setKnown(await settings().catch(() => undefined));
  }
  /** Does something and looks what came of it. */
  async function act(work: () => Promise<string | null>, done: string) {
    setBusy(true);
    setSaid(null);
    let outcome: string | null;
    try {
      outcome = await work();
    } catch {
      outcome = "The hub cannot be reached. Try again.";
    }
    await look();
    setSaid(outcome ?? done);
    setBusy(false);
  }
  if (known === null) return null; // The hub has none.
  const why = whyNot();
  const subscription = known?.subscription ?? null;
  return (
    <section class="panel" aria-labelledby="panel-push">
      <h2 id="panel-push">Notifications</h2>
      {known === undefined && <p class="soft">Known when there is a connection.</p>}
      {known && why === "install" && (
        <p>
          On this phone they come to the app on the home screen only: Share, then <b>Add to Home Screen</b>, and turn
          them on there.
        </p>
      )}
      {known && why === "unsupported" && <p>This browser cannot show notifications.</p>}
      {known && why === "denied" && (
        <p>This browser was told to show none. Allow them in its settings for this page.</p>
      )}
      {known && why === null && !subscription && (
        <>
          <p class="soft">Be told when an agent needs you, also when this page is closed.</p>
          <button
            type="button"
            class="button"
            disabled={busy}
            onClick={() => void act(() => enable(known.publicKey, "names", ALL), "Notifications are on.")}
          >
            <Icon name="bell" size={20} />
            Turn on notifications
          </button>
        </>
      )}
      {known && subscription && (
        <>
          {subscription.stopped && (
            <p class="notice">
              <Icon name="warn" size={18} />
              <span>
                Push stopped {clock(subscription.stopped.since, now.value)}: {subscription.stopped.reason}
              </span>
            </p>
          )}
          <fieldset class="switches" disabled={busy}>
            <legend>Of what</legend>
            {KINDS.map((kind) => (
              <label key={kind} class="switch">
                <span>{KIND_WORDS[kind]}</span>
                <input
                  type="checkbox"
                  role="switch"
                  aria-checked={subscription.kinds[kind]}
                  checked={subscription.kinds[kind]}
                  onChange={(event) => {
                    const kinds = { ...subscription.kinds, [kind]: event.currentTarget.checked };
                    void act(() => choose(subscription.privacy, kinds), "Saved.");
                  }}
                />
              </label>
            ))}
          </fieldset>
          <fieldset class="options" disabled={busy}>
            <legend>On the lock screen they say</legend>
            {PRIVACY.map(([privacy, word, example]) => (
              <label key={privacy} class={subscription.privacy === privacy ? "option is-chosen" : "option"}>
                <input
                  type="radio"
                  name="privacy"
                  checked={subscription.privacy === privacy}
                  onChange={() => void act(() => choose(privacy, subscription.kinds), "Saved.")}
                />
                <span>
                  {word}
                  <small>{example}</small>
                </span>
              </label>
            ))}
          </fieldset>
          <p class="soft">
            Last delivery:{" "}
            {subscription.last ? `${subscription.last.outcome}, ${ago(subscription.last.at, now.value)}` : "none yet"} (
            {subscription.service})
          </p>
          <div class="row-acts">
            <button
              type="button"
              class="button is-quiet"
              disabled={busy}
              onClick={() => void act(test, "Sent. It should be here in a moment.")}
            >
              Send a test
            </button>
            <button
              type="button"
              class="button is-quiet"
              disabled={busy}
              onClick={() => void act(disable, "Notifications are off.")}
            >
              Turn off
            </button>
          </div>
        </>
      )}
      <p class="said" role="status">
        {said}
      </p>
    </section>
  );
}
