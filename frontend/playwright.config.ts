import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
const chromium = process.env["OPD_CHROMIUM"] ?? BROWSERS.find((browser) => existsSync(browser));

/** Stories of the screen, against the real backend and the embedded models; one at a time. */
export default defineConfig({
  testDir: "e2e",
  outputDir: ".cache/browser",
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  // No failed story is told twice: a race in it is a fault of the story or of the screen.
  retries: 0,
  timeout: 900_000,
  expect: { timeout: 60_000 },
  reporter: [["list", { printSteps: true }]],
  use: {
    viewport: { width: 1440, height: 900 },
    colorScheme: "dark",
    reducedMotion: "reduce",
    trace: "off",
    screenshot: "only-on-failure",
    actionTimeout: 60_000,
    navigationTimeout: 60_000,
    launchOptions: {
      ...(chromium ? { executablePath: chromium } : {}),
      // No GPU where tests run; and no sandbox, which a container's root cannot have.
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic"],
    },
  },
  projects: [
    { name: "stories", testMatch: /.*\.spec\.ts/ },
    { name: "pictures", testMatch: /.*\.pictures\.ts/, timeout: 3_600_000 },
  ],
});
