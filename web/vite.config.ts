import { defineConfig } from "vitest/config";
import { buildId, outDir } from "./build/id";

const id = buildId();

export default defineConfig({
  define: { __BUILD__: JSON.stringify(id) },
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    outDir: outDir(),
    emptyOutDir: true,
    target: ["es2022", "safari16.4"],
    // The page's policy has no place for data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
  plugins: [
    {
      name: "build-id",
      generateBundle() {
        this.emitFile({ type: "asset", fileName: "build.json", source: `${JSON.stringify({ build: id })}\n` });
      },
    },
  ],
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
