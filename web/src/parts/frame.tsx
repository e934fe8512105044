/** What every screen has: a bar with its name, its age, and room below that scrolls. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ago, clock } from "../model/age";
import { refresh } from "../state/socket";
import { heard, live, now, truth, world } from "../state/store";
import { Icon } from "./icon";

export function Bar({
  title,
  back,
  children,
}: {
  title: string;
  back?: { href: string; label: string };
  children?: ComponentChildren;
}) {
  return (
    <header class={back ? "bar has-back" : "bar"}>
      {back && (
        <a class="icon-button back" href={back.href} aria-label={back.label}>
          <Icon name="back" />
        </a>
      )}
      <h1 tabIndex={-1}>{title}</h1>
      <div class="bar-acts">{children}</div>
    </header>
  );
}

/** How old what is shown is, and the way to look anew. */
export function Freshness() {
  const [busy, setBusy] = useState(false);
  const asOf = world.value.asOf;
  const look = async () => {
    setBusy(true);
    await refresh();
    setBusy(false);
  };
  const said =
    asOf === null
      ? "Nothing known yet"
      : live.value
        ? `Live, as of ${ago(heard.value ?? asOf, now.value)}`
        : `As of ${clock(asOf, now.value)}, ${ago(asOf, now.value)}`;
  return (
    <div class={live.value ? "freshness" : "freshness is-old"}>
      <Icon name={live.value ? "check" : "clock"} size={16} />
      <span>{said}</span>
      <button type="button" class="link-button" onClick={() => void look()} disabled={busy}>
        <Icon name="refresh" size={16} />
        {busy ? "Looking" : "Refresh"}
      </button>
    </div>
  );
}

/** Why there is no connection, if there is none. */
export function Trouble() {
  const { headline, detail, kind } = truth.value;
  const quiet = headline === "" || kind === "live";
  return (
    <div role="status" aria-live="polite" class="trouble-place">
      {!quiet && (
        <div class={detail ? "trouble" : "trouble is-brief"} data-kind={kind}>
          <Icon name={detail ? "warn" : "clock"} size={20} />
          <div>
            <strong>{headline}</strong>
            {detail && <p>{detail}</p>}
          </div>
        </div>
      )}
    </div>
  );
}

const PULL = 72;

/** Room that scrolls; pulled down at its top, it looks anew. */
export function Scroll({ children, dimmed = true }: { children: ComponentChildren; dimmed?: boolean }) {
  const room = useRef<HTMLDivElement>(null);
  const [pulled, setPulled] = useState(0);
  useEffect(() => {
    const element = room.current;
    if (!element) return;
    let from: number | null = null;
    let depth = 0;
    const start = (event: TouchEvent) => {
      from = element.scrollTop <= 0 ? (event.touches[0]?.clientY ?? null) : null;
    };
    const move = (event: TouchEvent) => {
      if (from === null) return;
      depth = Math.max(0, ((event.touches[0]?.clientY ?? from) - from) / 2);
      if (element.scrollTop > 0) depth = 0;
      setPulled(Math.min(depth, PULL + 16));
    };
    const end = () => {
      if (depth > PULL) void refresh();
      from = null;
      depth = 0;
      setPulled(0);
    };
    element.addEventListener("touchstart", start, { passive: true });
    element.addEventListener("touchmove", move, { passive: true });
    element.addEventListener("touchend", end);
    element.addEventListener("touchcancel", end);
    return () => {
      element.removeEventListener("touchstart", start);
      element.removeEventListener("touchmove", move);
      element.removeEventListener("touchend", end);
      element.removeEventListener("touchcancel", end);
    };
  }, []);
  const old = dimmed && !live.value;
  return (
    <div class={old ? "scroll is-dimmed" : "scroll"} ref={room}>
      <div class="pull" style={{ height: `${pulled}px` }} aria-hidden="true">
        {pulled > 20 && <Icon name="refresh" size={18} />}
      </div>
      {children}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <svg viewBox="0 0 48 48" width="56" height="56" aria-hidden="true" class="fermata">
        <path d="M6 32a18 18 0 0 1 36 0" />
        <circle cx="24" cy="30" r="3.500" />
      </svg>
      <p class="empty-title">{title}</p>
      {children && <p class="soft">{children}</p>}
    </div>
  );
}
