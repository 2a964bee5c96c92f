import { createRun, expect, SLOW, stepNumber, test } from "./stage";

test("the page lives through a killed backend and misses nothing", async ({ page, backend }) => {
  const { run_id } = await createRun(backend, {
    num_steps: 40,
    eval_every: 20,
    checkpoint_every: 2,
  });
  await page.goto(`/runs/${run_id}`);
  await expect.poll(() => stepNumber(page), SLOW).toBeGreaterThan(3);

  await backend.kill();
  await expect(page.getByText("The backend does not answer")).toBeVisible();
  await backend.restart();
  await expect(page.getByText("Reconnected, nothing missed")).toBeVisible(SLOW);
  await expect(page.getByText("The backend does not answer")).toHaveCount(0);

  await expect(page.getByText("finished", { exact: true })).toBeVisible(SLOW);
  const shown = page.getByRole("table", { name: "Divergence: Training" });
  await expect(shown.locator("tbody tr").last().locator("th")).toHaveText("40");
  const { num_points, step } = await backend.ask<{ num_points: number; step: number[] }>(
    `/runs/${run_id}/metrics/divergence?px=1000`,
  );
  expect(num_points).toBe(40);
  expect(step).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
});
