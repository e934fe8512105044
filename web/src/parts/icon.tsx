/** Symbols. Each state has a shape of its own, so that nobody depends on colours. */

import type { JSX } from "preact";
import { type State, stateOf, stateWord } from "../model/attention";
import type { Session } from "../model/wire";

const PATHS: Record<string, JSX.Element> = {
  sessions: <path d="M5 6.5h14M5 12h14M5 17.5h9" />,
  mail: (
    <>
      <rect x="3.5" y="5.5" width="17" height="13" rx="3" />
      <path d="m4.5 8 7.5 5.5L19.5 8" />
    </>
  ),
  tasks: (
    <>
      <path d="m4.5 7 1.5 1.5L8.5 6M4.5 16l1.5 1.5L8.5 15" />
      <path d="M12 7.5h7.5M12 16.5h7.5" />
    </>
  ),
  settings: (
    <>
      <path d="M4 8h9M17.5 8H20M4 16h2.5M11 16h9" />
      <circle cx="15.2" cy="8" r="2.3" />
      <circle cx="8.7" cy="16" r="2.3" />
    </>
  ),
  plus: <path d="M12 5v14M5 12h14" />,
  back: <path d="m14.5 5.5-6.5 6.5 6.5 6.5" />,
  next: <path d="m9.5 5.5 6.5 6.5-6.5 6.5" />,
  refresh: <path d="M19 12a7 7 0 1 1-2.1-5M19.5 4v4h-4" />,
  send: <path d="M12 19V5.5M6 11l6-6 6 6" />,
  write: <path d="M5 19h3.2L18.6 8.6a2.26 2.26 0 0 0-3.2-3.2L5 15.8V19Z" />,
  phone: (
    <>
      <rect x="7" y="3.5" width="10" height="17" rx="2.5" />
      <path d="M11 17.5h2" />
    </>
  ),
  tunnel: <path d="M4 18v-5a8 8 0 0 1 16 0v5M8.5 18v-5a3.5 3.5 0 0 1 7 0v5" />,
  hub: (
    <>
      <rect x="4" y="5" width="16" height="11" rx="2" />
      <path d="M9 19.5h6M12 16v3.5" />
    </>
  ),
  bell: <path d="M6.5 16.5v-5.5a5.5 5.5 0 0 1 11 0v5.5l1.5 1h-14l1.5-1ZM10.3 20a2 2 0 0 0 3.4 0" />,
  warn: (
    <path d="M12 9v4.5M12 16.8v.1M10.5 4.6 3.6 16.8A1.73 1.73 0 0 0 5.1 19.4h13.8a1.73 1.73 0 0 0 1.5-2.6L13.5 4.6a1.73 1.73 0 0 0-3 0Z" />
  ),
  check: <path d="m5.5 12.5 4 4 9-9.5" />,
  clock: (
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M12 7.5V12l3 2" />
    </>
  ),
  doc: <path d="M7 4h6.5L18 8.5V20H7V4ZM13 4v5h5" />,
  person: (
    <>
      <circle cx="12" cy="8.5" r="3.5" />
      <path d="M5 19.5c.8-3.4 3.6-5 7-5s6.2 1.6 7 5" />
    </>
  ),
  dot: <circle cx="12" cy="12" r="3" />,
  terminal: <path d="m5.5 7.5 4 4-4 4M12 16.5h6.5" />,
};

export function Icon({ name, size = 22 }: { name: string; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">
      {PATHS[name]}
    </svg>
  );
}

const STATE: Record<State, JSX.Element> = {
  asks: (
    <>
      <path
        class="fill"
        d="M12 3.5c4.9 0 8.5 3.2 8.5 7.3s-3.6 7.3-8.5 7.3c-.9 0-1.8-.1-2.6-.3l-4 2.5.7-4.2c-1.6-1.3-2.6-3.2-2.6-5.3 0-4.1 3.6-7.3 8.5-7.3Z"
      />
      <path class="mark" d="M9.8 8.9c.1-1.3 1.1-2 2.3-2s2.2.8 2.2 1.9c0 1.6-2.2 1.7-2.2 3.3M12.1 14.7v.1" />
    </>
  ),
  failed: (
    <>
      <path class="fill" d="M8.4 3.5h7.2l4.9 4.9v7.2l-4.9 4.9H8.4l-4.9-4.9V8.4l4.9-4.9Z" />
      <path class="mark" d="m9 9 6 6M15 9l-6 6" />
    </>
  ),
  silent: <path d="M19.5 14.3A8 8 0 1 1 9.7 4.5a6.3 6.3 0 0 0 9.8 9.8Z" />,
  starting: <circle cx="12" cy="12" r="8" stroke-dasharray="2.6 3.68" />,
  working: (
    <>
      <circle class="faint" cx="12" cy="12" r="8" />
      <path class="turns" d="M12 4a8 8 0 0 1 8 8" />
    </>
  ),
  idle: (
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M10 9.5v5M14 9.5v5" />
    </>
  ),
  stopped: (
    <>
      <circle cx="12" cy="12" r="8" />
      <rect class="dotfill" x="9.2" y="9.2" width="5.6" height="5.6" rx="1" />
    </>
  ),
  done: (
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="m8.5 12.3 2.4 2.4 4.6-5" />
    </>
  ),
};

/** The symbol alone; the word stands beside it. */
export function StateIcon({ state, size = 26 }: { state: State; size?: number }) {
  return (
    <svg
      class={`icon state-icon is-${state}`}
      viewBox="0 0 24 24"
      width={size}
      height={size}
      aria-hidden="true"
      focusable="false"
    >
      {STATE[state]}
    </svg>
  );
}

/** Symbol and word. */
export function StateChip({ session }: { session: Session }) {
  const state = stateOf(session);
  return (
    <span class={`chip is-${state}`}>
      <StateIcon state={state} size={18} />
      {stateWord(session)}
    </span>
  );
}
