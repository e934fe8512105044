/** Texts of agents, taken apart for showing: plain words, links that are plainly links, code. Nothing else is understood,
 * and nothing is ever made into markup: each part becomes a text node. */

export type Part =
  | { kind: "text"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "code"; text: string };

export type Block = { kind: "paragraph"; parts: Part[] } | { kind: "code"; text: string };

const LINK = /https?:\/\/[^\s<>"'`]+/g;
const INLINE_CODE = /`([^`\n]+)`/g;
/** Longest text that is taken apart; the rest is shown as it is. */
const LONGEST = 20_000;

/** Blocks between fences are code; the rest are paragraphs. */
export function blocks(text: string): Block[] {
  const found: Block[] = [];
  const pieces = text.slice(0, LONGEST).split(/^```[^\n]*\n?/m);
  pieces.forEach((piece, n) => {
    if (n % 2 === 1) {
      if (piece.trim()) found.push({ kind: "code", text: piece.replace(/\n$/, "") });
      return;
    }
    for (const paragraph of piece.split(/\n{2,}/)) {
      if (paragraph.trim()) found.push({ kind: "paragraph", parts: parts(paragraph.replace(/^\n+|\n+$/g, "")) });
    }
  });
  if (text.length > LONGEST) found.push({ kind: "paragraph", parts: [{ kind: "text", text: "…" }] });
  return found;
}

/** Inline parts of a line or more. */
export function parts(text: string): Part[] {
  const found: Part[] = [];
  let at = 0;
  for (const code of text.matchAll(INLINE_CODE)) {
    found.push(...links(text.slice(at, code.index)), { kind: "code", text: code[1] ?? "" });
    at = code.index + code[0].length;
  }
  return [...found, ...links(text.slice(at))];
}

function links(text: string): Part[] {
  const found: Part[] = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    const shown = match[0].replace(/[.,;:!?)\]}]+$/, "");
    const href = address(shown);
    if (href === null) continue;
    if (match.index > at) found.push({ kind: "text", text: text.slice(at, match.index) });
    found.push({ kind: "link", text: shown, href });
    at = match.index + shown.length;
  }
  if (at < text.length) found.push({ kind: "text", text: text.slice(at) });
  return found;
}

/** An address that leads out and does nothing else: no user and password that make a host look like another. */
function address(text: string): string | null {
  try {
    const url = new URL(text);
    const plain = (url.protocol === "https:" || url.protocol === "http:") && !url.username && !url.password;
    return plain ? url.href : null;
  } catch {
    return null;
  }
}

/** The first line that says something. */
export function firstLine(text: string): string {
  return (
    text
      .split("\n")
      .map((line) => line.trim())
      .find((line) => line !== "" && !line.startsWith("```")) ?? ""
  );
}
