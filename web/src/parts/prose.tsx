/** A text of an agent or a person, shown as text. */

import { blocks, type Part } from "../model/text";

export function Prose({ text }: { text: string }) {
  return (
    <div class="prose">
      {blocks(text).map((block, n) =>
        block.kind === "code" ? <Code key={n} text={block.text} /> : <p key={n}>{block.parts.map(inline)}</p>,
      )}
    </div>
  );
}

function inline(part: Part, n: number) {
  switch (part.kind) {
    case "text":
      return part.text;
    case "code":
      return <code key={n}>{part.text}</code>;
    case "link":
      return (
        <a key={n} href={part.href} target="_blank" rel="noopener noreferrer">
          {part.text}
        </a>
      );
  }
}

/** Code, or a difference: its lines are marked by their first sign, which stays to be read. */
function Code({ text }: { text: string }) {
  const lines = text.split("\n");
  const isDiff = lines.some((line) => line.startsWith("+")) && lines.some((line) => line.startsWith("-"));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
    <pre tabIndex={0}>
      <code>
        {isDiff
          ? lines.map((line, n) => (
              <span
                key={n}
                class={line.startsWith("+") ? "line is-more" : line.startsWith("-") ? "line is-less" : "line"}
              >
                {`${line}\n`}
              </span>
            ))
          : text}
      </code>
    </pre>
  );
}
