/** Pairing. Opening the page redeems nothing; the tap does. */

import { useId, useState } from "preact/hooks";
import { codeOf } from "../model/route";
import { Icon } from "../parts/icon";
import { pair } from "../state/leave";
import { truth } from "../state/store";

export function Pair() {
  const [code, setCode] = useState(codeOf(location.pathname) ?? "");
  const [name, setName] = useState(guessName());
  const [said, setSaid] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const id = useId();
  const { pairAgain, headline, detail, kind } = truth.value;
  const submit = async (event: Event) => {
    event.preventDefault();
    const plain = code.replace(/[\s-]/g, "").toUpperCase();
    if (!plain) {
      setSaid("Type the code that the computer shows.");
      document.getElementById(`${id}-code`)?.focus();
      return;
    }
    setBusy(true);
    setSaid(null);
    setSaid(await pair(plain, name.trim() || guessName()));
    setBusy(false);
  };
  return (
    <main class="pair">
      <img src="/icons/icon.svg" alt="" width="72" height="72" />
      <h1>maestro</h1>
      {pairAgain && kind !== "unpaired" ? (
        <div class="trouble" role="status" data-kind={kind}>
          <Icon name="warn" size={20} />
          <div>
            <strong>{headline}</strong>
            <p>{detail}</p>
          </div>
        </div>
      ) : (
        <p class="lead">Your agents at home, in your hand.</p>
      )}
      <form class="form" onSubmit={(event) => void submit(event)} noValidate>
        <p>
          On the computer, run <code>maestroctl pair</code>. Scan the code it shows, or type it here.
        </p>
        <label class="field-label" for={`${id}-code`}>
          Code
        </label>
        <input
          id={`${id}-code`}
          class="code-input"
          type="text"
          value={code}
          autocomplete="one-time-code"
          autocapitalize="characters"
          spellcheck={false}
          maxLength={16}
          placeholder="XXXX-XXXX"
          onInput={(event) => setCode(event.currentTarget.value)}
        />
        <label class="field-label" for={`${id}-name`}>
          Name of this device
        </label>
        <input
          id={`${id}-name`}
          type="text"
          value={name}
          autocomplete="off"
          maxLength={64}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <p class="error" role="alert">
          {said}
        </p>
        <button type="submit" class="button" disabled={busy}>
          {busy ? "Pairing" : "Pair this phone"}
        </button>
      </form>
      {isAppleTab() && (
        <aside class="card hint">
          <h2>On the home screen, with notifications</h2>
          <p>
            First Share, then <b>Add to Home Screen</b>, and press <b>Pair this phone</b> there: the app on the home
            screen keeps its own pairing, and a code is good for one device.
          </p>
        </aside>
      )}
    </main>
  );
}

function isAppleTab(): boolean {
  const isApple = /iPhone|iPad|iPod/.test(navigator.userAgent);
  return isApple && !matchMedia("(display-mode: standalone)").matches;
}

function guessName(): string {
  const agent = navigator.userAgent;
  const kinds: [string, string][] = [
    ["iPhone", "iPhone"],
    ["iPad", "iPad"],
    ["Android", "Android phone"],
    ["Macintosh", "Mac"],
    ["Windows", "Windows PC"],
    ["Linux", "Linux browser"],
  ];
  return kinds.find(([word]) => agent.includes(word))?.[1] ?? "Browser";
}
