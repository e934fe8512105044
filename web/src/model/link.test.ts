import { describe, expect, test } from "vitest";
import { asRefusal, type Facts, isOver, probed, truth } from "./link";

const facts = (change: Partial<Facts> = {}): Facts => ({
  online: true,
  connected: false,
  synced: false,
  downSince: 0,
  refusal: null,
  probe: null,
  trial: false,
  local: false,
  ...change,
});
const LATER = 60_000;

describe("each trouble has its own words", () => {
  test.each([
    ["live", facts({ connected: true, synced: true, downSince: null }), true, true, true],
    ["offline", facts({ online: false }), false, null, null],
    ["tunnel-down", facts({ probe: { kind: "edge", status: 530 } }), true, false, null],
    ["hub-down", facts({ probe: { kind: "edge", status: 502 } }), true, true, false],
    ["nobody", facts({ probe: { kind: "nobody" } }), null, null, null],
    ["hub-down", facts({ local: true, probe: { kind: "nobody" } }), true, null, false],
    ["revoked", facts({ refusal: "revoked" }), true, true, true],
    ["expired", facts({ refusal: "expired" }), true, true, true],
    ["locked-down", facts({ refusal: "locked_down" }), true, true, true],
    ["crowded", facts({ refusal: "too_many_sockets" }), true, true, true],
  ] as const)("%s", (kind, given, phone, tunnel, hub) => {
    expect(truth(given, LATER)).toMatchObject({ kind, phone, tunnel, hub });
  });

  test("they all differ", () => {
    const all = [
      truth(facts({ online: false }), LATER),
      truth(facts({ probe: { kind: "edge", status: 530 } }), LATER),
      truth(facts({ probe: { kind: "edge", status: 502 } }), LATER),
      truth(facts({ probe: { kind: "nobody" } }), LATER),
      truth(facts({ probe: { kind: "nobody" }, trial: true }), LATER),
      truth(facts({ refusal: "revoked" }), LATER),
    ];
    expect(new Set(all.map(({ headline, detail }) => headline + detail)).size).toBe(all.length);
  });

  test("an address on trial that is gone says what a trial is", () => {
    expect(truth(facts({ probe: { kind: "nobody" }, trial: true }), LATER).detail).toContain("trial");
  });
});

test("nothing is said for three seconds, and no reason for ten", () => {
  const down = facts({ probe: { kind: "edge", status: 530 } });
  expect(truth(down, 2_000)).toMatchObject({ kind: "connecting", headline: "" });
  expect(truth(down, 5_000)).toMatchObject({ kind: "connecting", headline: "Connecting" });
  expect(truth(down, 11_000)).toMatchObject({ kind: "tunnel-down" });
});

test("a phone that is offline says so at once, and one that is connected is never called offline", () => {
  expect(truth(facts({ online: false }), 0).kind).toBe("offline");
  expect(truth(facts({ online: false, connected: true, synced: true }), 0).kind).toBe("live");
});

test("only what a new code helps against offers to pair again", () => {
  for (const refusal of ["revoked", "expired", "locked_down", "unpaired", "unknown_device"] as const) {
    expect([truth(facts({ refusal }), 0).pairAgain, isOver(refusal)]).toEqual([true, true]);
  }
  expect([truth(facts({ refusal: "too_many_sockets" }), 0).pairAgain, isOver("too_many_sockets")]).toEqual([
    false,
    false,
  ]);
  expect(truth(facts({ online: false }), 0).pairAgain).toBe(false);
});

test("the hub answers in JSON, whatever the status; who answers otherwise stands in between", () => {
  expect(probed(401, true)).toEqual({ kind: "hub" });
  expect(probed(530, false)).toEqual({ kind: "edge", status: 530 });
  expect([asRefusal("revoked"), asRefusal("websocket error"), asRefusal(5)]).toEqual(["revoked", null, null]);
});
