/** What is kept on this phone, so that there is something to see before there is a connection. Read at once, written now
 * and then; gone when the device is signed out or revoked. */

import { kept, type Outbox } from "../model/outbox";
import { NOTHING, type World } from "../model/world";

const WORLD = "maestro.world.1";
const OUTBOX = "maestro.outbox.1";
const READ = "maestro.read.1";
const DEVICE = "maestro.device.1";
const PLACES = [WORLD, OUTBOX, READ, DEVICE];

/** Timelines are long: only these many of the newest entries of each are kept. */
const ENTRIES = 30;
const SESSIONS = 20;

function load<T>(place: string, nothing: T): T {
  try {
    const text = localStorage.getItem(place);
    return text === null ? nothing : (JSON.parse(text) as T);
  } catch {
    return nothing;
  }
}

function save(place: string, value: unknown) {
  try {
    localStorage.setItem(place, JSON.stringify(value));
  } catch {
    // Full, or forbidden: the page works without, it only begins empty.
    localStorage.removeItem(place);
  }
}

export const loadWorld = (): World => ({ ...NOTHING, ...load<Partial<World>>(WORLD, {}) });

export function saveWorld(world: World) {
  const recent = Object.entries(world.timelines).slice(-SESSIONS);
  // What is cut off is asked for again: without `before` nobody has asked yet.
  const timelines = recent.map(([id, { entries }]) => [id, { entries: entries.slice(0, ENTRIES) }]);
  save(WORLD, { ...world, timelines: Object.fromEntries(timelines) });
}

export const loadOutbox = (): Outbox => kept(load<Outbox>(OUTBOX, []));
export const saveOutbox = (outbox: Outbox) => save(OUTBOX, kept(outbox));

export const loadRead = () => load<Record<string, number>>(READ, {});
export const saveRead = (read: Record<string, number>) => save(READ, read);

export interface Remembered {
  id: string | null;
  name: string;
  scopes: string[];
  trial: boolean | null;
}

export const loadDevice = () => load<Remembered | null>(DEVICE, null);
export const saveDevice = (device: Remembered) => save(DEVICE, device);

export function forgetAll() {
  for (const place of PLACES) localStorage.removeItem(place);
}
