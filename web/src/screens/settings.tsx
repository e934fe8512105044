/** This device: what it is and may do, how the connection really stands, notifications, the way out. */

import { useState } from "preact/hooks";
import { ago, clock } from "../model/age";
import type { Scope } from "../model/wire";
import { BUILD, LOCAL } from "../net/door";
import { Bar, Freshness, Scroll, Trouble } from "../parts/frame";
import { Icon } from "../parts/icon";
import { Notifications } from "../parts/notifications";
import { signOut } from "../state/leave";
import { device, facts, heard, hello, now, scopes, truth } from "../state/store";

const SCOPES: Record<Scope, string> = {
  view: "See sessions, tasks and projects",
  answer: "Answer questions",
  mail: "Read and write mail",
  prompt: "Type into terminals",
  spawn: "Start agents",
  admin: "Manage devices",
};

export function Settings() {
  return (
    <>
      <Bar title="Settings" />
      <Scroll dimmed={false}>
        <Trouble />
        <Freshness />
        <section class="panel" aria-labelledby="panel-device">
          <h2 id="panel-device">{LOCAL ? "This computer" : "This device"}</h2>
          {!LOCAL && <p class="device-name">{device.value?.name ?? "Not known yet"}</p>}
          {device.value?.pairedAt && <p class="soft">Paired {clock(device.value.pairedAt, now.value)}</p>}
          <h3>It may</h3>
          <ul class="scopes">
            {scopes.value.map((scope) => (
              <li key={scope}>
                <Icon name="check" size={18} />
                {SCOPES[scope]}
              </li>
            ))}
          </ul>
          {!LOCAL && <p class="footnote">What it may is set at the computer: maestroctl devices</p>}
        </section>
        <Connection />
        {!LOCAL && <Notifications />}
        <section class="panel" aria-labelledby="panel-about">
          <h2 id="panel-about">About</h2>
          <dl class="facts">
            <div>
              <dt>Hub</dt>
              <dd>{hello.value?.version ? `maestro ${hello.value.version}` : "not known"}</dd>
            </div>
            <div>
              <dt>Page</dt>
              <dd>
                {BUILD}
                {hello.value?.build && hello.value.build !== BUILD && ", the hub has a newer one"}
              </dd>
            </div>
          </dl>
        </section>
        {!LOCAL && <SignOut />}
      </Scroll>
    </>
  );
}

/** Phone, tunnel, hub: each by itself, as far as it can be known from here. */
function Connection() {
  const { phone, tunnel, hub, headline } = truth.value;
  const word = (good: boolean | null) => (good === null ? "Not known from here" : good ? "Works" : "Down");
  const { local, trial } = facts.value;
  return (
    <section class="panel" aria-labelledby="panel-connection">
      <h2 id="panel-connection">Connection</h2>
      <ul class="truths">
        <Truth icon="phone" name={local ? "This browser" : "This phone's network"} good={phone} word={word(phone)} />
        {!local && (
          <Truth
            icon="tunnel"
            name="Tunnel"
            good={tunnel}
            word={`${word(tunnel)}${trial ? ", on trial: its address changes when it starts anew" : ""}`}
          />
        )}
        <Truth icon="hub" name="Hub" good={hub} word={word(hub)} />
        <Truth
          icon="clock"
          name="Last heard of the hub"
          good={null}
          word={heard.value ? ago(heard.value, now.value) : "not yet"}
        />
      </ul>
      {headline && <p class="soft">{headline}</p>}
    </section>
  );
}

function Truth({ icon, name, good, word }: { icon: string; name: string; good: boolean | null; word: string }) {
  return (
    <li class={good === false ? "truth is-down" : "truth"}>
      <Icon name={icon} size={20} />
      <span class="truth-name">{name}</span>
      <span class="truth-word">
        {good !== null && <Icon name={good ? "check" : "warn"} size={18} />}
        {word}
      </span>
    </li>
  );
}

function SignOut() {
  const [sure, setSure] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    setSaid(await signOut());
    setBusy(false);
  };
  return (
    <section class="panel" aria-labelledby="panel-out">
      <h2 id="panel-out">Sign out</h2>
      <p class="soft">The hub forgets this device, and this device forgets everything.</p>
      <p class="error" role="alert">
        {said}
      </p>
      {sure ? (
        <div class="row-acts">
          <button type="button" class="button is-danger" disabled={busy} onClick={() => void act()}>
            {busy ? "Signing out" : "Yes, sign out"}
          </button>
          <button type="button" class="button is-quiet" onClick={() => setSure(false)}>
            Stay
          </button>
        </div>
      ) : (
        <button type="button" class="button is-quiet" onClick={() => setSure(true)}>
          Sign out
        </button>
      )}
    </section>
  );
}
