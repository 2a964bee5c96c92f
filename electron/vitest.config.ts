import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    // Backends are the load here; two at a time would only make each wait.
    fileParallelism: false,
  },
});
