import { expect, test } from "@playwright/test";
import { watchFrames } from "./frames";

const BUSY_MS = 100;

test("a loop that blocks the page is seen in its frames", async ({ page }) => {
  await page.setContent("<p>Nothing to do.</p>");
  const idle = await watchFrames(page, () => page.waitForFunction("window.frameTimes.length > 20"));
  expect(idle.worstTaskCpuMs).toBeLessThan(BUSY_MS / 2);

  const blocked = await watchFrames(page, () =>
    page.evaluate((busy) => {
      return new Promise<void>((resolve) => {
        setTimeout(() => {
          const end = performance.now() + busy * 3;
          while (performance.now() < end) {
            // The page can do nothing else.
          }
          requestAnimationFrame(() => resolve());
        });
      });
    }, BUSY_MS),
  );
  expect(blocked.worstFrameMs).toBeGreaterThan(BUSY_MS);
  expect(blocked.worstTaskMs).toBeGreaterThan(BUSY_MS);
  expect(blocked.worstTaskCpuMs).toBeGreaterThan(BUSY_MS / 2);
});
