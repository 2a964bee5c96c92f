import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Backends are the load here; two at a time would only make each wait.
    fileParallelism: false,
    projects: [
      { test: { name: "units", include: ["tests/*.test.ts"] } },
      {
        test: {
          name: "backend",
          include: ["tests/backend/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
