import { readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";
import { buildId, outDir } from "./build/id";

/** What the page needs to open: everything that was built for it but what only installing needs. */
function shell(): string[] {
  const assets = readdirSync(join(outDir(), "assets")).map((name) => `/assets/${name}`);
  return [...assets, "/icons/icon.svg"].sort();
}

export default defineConfig({
  define: { __BUILD__: JSON.stringify(buildId()), __SHELL__: JSON.stringify(shell()) },
  publicDir: false,
  esbuild: { legalComments: "none" },
  build: {
    outDir: outDir(),
    target: ["es2022", "safari16.4"],
    emptyOutDir: false,
    reportCompressedSize: false,
    rollupOptions: {
      input: "src/worker/main.ts",
      // A classic script: not every browser takes modules for workers.
      output: { format: "iife", entryFileNames: "sw.js" },
    },
  },
});
