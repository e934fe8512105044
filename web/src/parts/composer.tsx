/** A text and a button, at the bottom of a screen. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

export function Composer({
  label,
  placeholder,
  onSend,
}: {
  label: string;
  placeholder: string;
  onSend: (text: string) => void;
}) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  useEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight + 2, 160)}px`;
  }, [text]);
  const submit = (event: Event) => {
    event.preventDefault();
    if (!text.trim()) return;
    onSend(text.trim());
    setText("");
  };
  return (
    <form class="composer" onSubmit={submit}>
      <label class="visually-hidden" for={id}>
        {label}
      </label>
      <textarea
        id={id}
        ref={field}
        rows={1}
        placeholder={placeholder}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" class="icon-button is-send" aria-label="Send" disabled={!text.trim()}>
        <Icon name="send" />
      </button>
    </form>
  );
}
