/** What this phone said, and what became of it. */

import { clock } from "../model/age";
import { fateWords, type Item } from "../model/outbox";
import { discard, retry } from "../state/send";
import { facts, now } from "../state/store";
import { Icon } from "./icon";

export function Sent({ item, showText = true }: { item: Item; showText?: boolean }) {
  const { fate } = item;
  const words = fateWords(item, facts.value.connected);
  const text = textOf(item);
  return (
    <div class={`sent is-${fate.state}`} data-state={fate.state}>
      {showText && text && <p class="sent-text">{text}</p>}
      <p class="sent-fate" role="status">
        <Icon name={fate.state === "failed" ? "warn" : fate.state === "sent" ? "check" : "clock"} size={16} />
        <span>
          {words}
          {fate.state === "sent" && <span class="soft">, {clock(fate.at, now.value)}</span>}
        </span>
      </p>
      {fate.state === "failed" && (
        <div class="row-acts">
          {fate.retry && (
            <button type="button" class="small-button" onClick={() => retry(item.id)}>
              Try again
            </button>
          )}
          <button type="button" class="small-button is-quiet" onClick={() => discard(item.id)}>
            Discard
          </button>
        </div>
      )}
    </div>
  );
}

function textOf({ what }: Item): string {
  switch (what.verb) {
    case "session:reply-input":
      return [what.choice, what.text].filter(Boolean).join("\n");
    case "session:prompt":
      return what.content;
    case "session:spawn":
      return what.label;
    case "mail:send":
      return what.message;
  }
}
