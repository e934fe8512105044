/** Why there is, or is not, a connection: the one place that decides what people are told. */

/** Why the hub does not let this device in; its own words. */
export type Refusal = "unpaired" | "unknown_device" | "revoked" | "expired" | "locked_down" | "too_many_sockets";

/** What a plain request to the hub came to while the socket was away. */
export type Probe =
  /** The hub itself answered. */
  | { kind: "hub" }
  /** Somebody on the way answered for it, with this status. */
  | { kind: "edge"; status: number }
  /** Nobody answered. */
  | { kind: "nobody" };

export interface Facts {
  /** Does the phone say that it has a network? */
  online: boolean;
  /** Is the socket connected? */
  connected: boolean;
  /** Are all events up to now here? */
  synced: boolean;
  /** Since when it is not connected. */
  downSince: number | null;
  refusal: Refusal | null;
  probe: Probe | null;
  /** Through a tunnel on trial? Null: not known. */
  trial: boolean | null;
  /** On the hub's own machine? */
  local: boolean;
}

export type Kind =
  | "live"
  | "catching-up"
  | "connecting"
  | "offline"
  | "tunnel-down"
  | "hub-down"
  | "nobody"
  | "crowded"
  | "unpaired"
  | "revoked"
  | "expired"
  | "locked-down";

export interface Truth {
  kind: Kind;
  /** In few words. */
  headline: string;
  /** What it means and what to do; empty if nothing is to be said. */
  detail: string;
  /** Of each part: does it work? Null: cannot be known from here. */
  phone: boolean | null;
  tunnel: boolean | null;
  hub: boolean | null;
  /** True if pairing again is what helps. */
  pairAgain: boolean;
}

/** How long a connection may be away before anything is said, and before it is said why. */
const QUIET = 3_000;
const PATIENT = 10_000;

export function truth(facts: Facts, now: number): Truth {
  const away = facts.downSince === null ? 0 : now - facts.downSince;
  if (facts.refusal !== null) return refused(facts.refusal);
  if (!facts.online && !facts.connected) {
    return said("offline", "This phone is offline", "What you see is the last known state. It goes on by itself.", {
      phone: false,
    });
  }
  if (facts.connected) {
    const all = { phone: true, tunnel: facts.local ? null : true, hub: true };
    return facts.synced
      ? said("live", "Live", "", all)
      : said("catching-up", away < QUIET ? "" : "Catching up", "", all);
  }
  if (away < PATIENT || facts.probe === null) {
    return said("connecting", away < QUIET ? "" : "Connecting", "", { phone: facts.online });
  }
  return diagnosed(facts.probe, facts);
}

function diagnosed(probe: Probe, facts: Facts): Truth {
  const { trial, local } = facts;
  if (probe.kind === "hub") {
    return said("connecting", "Connecting", "The hub answers, but the live connection does not stand yet.", {
      phone: true,
      tunnel: local ? null : true,
      hub: true,
    });
  }
  if (local) {
    return said("hub-down", "The hub does not answer", "Is maestrod running? On this computer: maestroctl status", {
      phone: true,
      hub: false,
    });
  }
  if (probe.kind === "nobody") {
    const detail = trial
      ? "Nothing answers at this address. It was on trial: such an address changes when the tunnel starts anew. Look at maestroctl tunnel url at home, and pair again there."
      : "Nothing answers at this address. Either this phone's network is in the way, or the address is gone.";
    return said("nobody", "The hub cannot be reached", detail, { phone: null });
  }
  if (probe.status === 530 || probe.status === 1033) {
    return said(
      "tunnel-down",
      "The tunnel is down",
      "This phone has a network, and the computer at home is not connected to it: asleep, offline, or the tunnel has stopped. At home: maestroctl status",
      { phone: true, tunnel: false },
    );
  }
  return said(
    "hub-down",
    "The hub does not answer",
    "The tunnel stands, but maestrod is not there behind it. At home: maestroctl status",
    { phone: true, tunnel: true, hub: false },
  );
}

function refused(refusal: Refusal): Truth {
  const there = { phone: true, tunnel: true, hub: true };
  switch (refusal) {
    case "revoked":
      return said(
        "revoked",
        "This device was revoked",
        "It may not be here any more, and what it knew is deleted. Pair it again if it is yours: maestroctl pair",
        { ...there, pairAgain: true },
      );
    case "expired":
      return said("expired", "The pairing has expired", "Pair again with a new code: maestroctl pair", {
        ...there,
        pairAgain: true,
      });
    case "locked_down":
      return said(
        "locked-down",
        "The hub is locked down",
        "Its owner has shut the way in and revoked all devices. At home: maestroctl lockdown --lift, then pair again.",
        { ...there, pairAgain: true },
      );
    case "too_many_sockets":
      return said(
        "crowded",
        "Too many open pages",
        "This device has this page open too often. Close the others.",
        there,
      );
    case "unpaired":
    case "unknown_device":
      return said("unpaired", "This phone is not paired", "Pair it with a code: maestroctl pair", {
        ...there,
        pairAgain: true,
      });
  }
}

function said(
  kind: Kind,
  headline: string,
  detail: string,
  parts: Partial<Pick<Truth, "phone" | "tunnel" | "hub" | "pairAgain">>,
): Truth {
  return { kind, headline, detail, phone: null, tunnel: null, hub: null, pairAgain: false, ...parts };
}

/** What an answer to a plain request says of the way to the hub. Ours are JSON, whatever the status; those of others on the way are not. */
export function probed(status: number, isJson: boolean): Probe {
  return isJson ? { kind: "hub" } : { kind: "edge", status };
}

const REFUSALS = new Set<string>([
  "unpaired",
  "unknown_device",
  "revoked",
  "expired",
  "locked_down",
  "too_many_sockets",
]);

export function asRefusal(code: unknown): Refusal | null {
  return typeof code === "string" && REFUSALS.has(code) ? (code as Refusal) : null;
}

/** True if the device is not this hub's any more, so that what it knew must go. */
export function isOver(refusal: Refusal | null): boolean {
  return refusal !== null && refusal !== "too_many_sockets";
}
