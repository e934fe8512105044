/** Which build this is: a digest of everything it is made of, so that the same sources are the same build. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PARTS = ["index.html", "package-lock.json", "public", "src", "build", "vite.config.ts", "vite.worker.config.ts"];

function files(path: string): string[] {
  try {
    const inside = readdirSync(path, { withFileTypes: true });
    return inside.flatMap((entry) => files(join(path, entry.name)));
  } catch {
    return [path]; // Not a folder.
  }
}

export function buildId(): string {
  const digest = createHash("sha256");
  const all = PARTS.flatMap((part) => files(join(ROOT, part))).filter((file) => !file.endsWith(".test.ts"));
  for (const file of all.map((file) => relative(ROOT, file)).sort()) {
    digest.update(`${file}\0`).update(readFileSync(join(ROOT, file)));
  }
  return digest.digest("hex").slice(0, 12);
}

/** Where it is built to; a check builds beside what is committed. */
export function outDir(): string {
  return process.env["MAESTRO_DIST"] ?? join(ROOT, "dist");
}
