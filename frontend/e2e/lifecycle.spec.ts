import { createRun, expect, report, runOf, SLOW, stepNumber, test } from "./stage";

const LONG = { num_steps: 4000, eval_every: 2000, checkpoint_every: 2 };

test("a run is paused, resumed and stopped from its page", async ({ page, backend }) => {
  const { run_id } = await createRun(backend, LONG);
  await page.goto(`/runs/${run_id}`);
  await expect.poll(() => stepNumber(page), SLOW).toBeGreaterThan(3);

  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByText("paused", { exact: true })).toBeVisible(SLOW);
  const { step } = await runOf(backend, run_id);

  await page.getByRole("button", { name: "Resume" }).click();
  await expect.poll(() => stepNumber(page), SLOW).toBeGreaterThan(step);

  await page.getByRole("button", { name: "Stop and keep" }).click();
  await expect(page.getByText("finished", { exact: true })).toBeVisible(SLOW);
  await expect(page.getByRole("heading", { name: "Report card" })).toBeVisible();
});

test("a killed worker leaves a post-mortem, and its run resumes", async ({ page, backend }) => {
  const { run_id } = await createRun(backend, LONG);
  await page.goto(`/runs/${run_id}`);
  await expect.poll(() => stepNumber(page), SLOW).toBeGreaterThan(3);
  await backend.killWorker();

  await expect(page.getByText("interrupted", { exact: true })).toBeVisible(SLOW);
  const postmortem = page.getByRole("alert").filter({ hasText: "Resume from step" });
  await expect(postmortem).toBeVisible();
  report(`post-mortem: ${(await postmortem.locator("p").first().textContent())?.trim()}`);
  const { step } = await runOf(backend, run_id);

  await postmortem.getByRole("button", { name: /^Resume from step \d+$/ }).click();
  await expect.poll(() => stepNumber(page), SLOW).toBeGreaterThan(step);
  await expect(postmortem).toHaveCount(0);
});
