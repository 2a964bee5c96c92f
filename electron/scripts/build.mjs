/** Bundles main and preload into dist/; the backend's page is built by frontend/. */
import { build } from "esbuild";

await build({
  entryPoints: { main: "src/main.ts", preload: "src/preload.ts" },
  outdir: "dist",
  outExtension: { ".js": ".cjs" },
  bundle: true,
  // A sandboxed preload has neither modules nor `require` but for Electron's own.
  format: "cjs",
  platform: "node",
  target: "node22",
  // The last two are optional accelerators of ws that are not installed.
  external: ["electron", "bufferutil", "utf-8-validate"],
  legalComments: "external",
});
