import { createRun, expect, runOf, SLOW, stepNumber, test, untilState } from "./stage";

test("the page lives through a killed backend and misses nothing", async ({ page, backend }) => {
  const { run_id } = await createRun(backend, {
    num_steps: 60,
    eval_every: 30,
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
  await expect(shown.locator("tbody tr").last().locator("th")).toHaveText("60");
  const { num_points, step } = await backend.ask<{ num_points: number; step: number[] }>(
    `/runs/${run_id}/metrics/divergence?px=1000`,
  );
  expect(num_points).toBe(60);
  expect(step).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
});

test("a page opened and reloaded in the middle of a run is right", async ({ page, backend }) => {
  const { run_id } = await createRun(backend, { num_steps: 40, eval_every: 20 });
  await page.goto("/");
  await expect.poll(async () => (await runOf(backend, run_id)).step).toBeGreaterThan(5);
  await page.goto(`/runs/${run_id}`);
  const first = page.getByRole("table", { name: "Divergence: Training" }).locator("tbody th");
  await expect(first.first()).toHaveText("1");
  await page.reload();
  await expect(first.first()).toHaveText("1");
  await untilState(backend, run_id, "finished");
  await expect(first.last()).toHaveText("40");
  await expect(page.getByText("finished", { exact: true })).toBeVisible();
});
