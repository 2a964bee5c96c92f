import { createRun, expect, runOf, SLOW, test, untilState } from "./stage";

test("a page opened and reloaded in the middle of a run is right", async ({ page, backend }) => {
  const { run_id } = await createRun(backend, { num_steps: 24, eval_every: 12 });
  await page.goto("/");
  await expect.poll(async () => (await runOf(backend, run_id)).step, SLOW).toBeGreaterThan(5);
  await page.goto(`/runs/${run_id}`);
  const first = page.getByRole("table", { name: "Divergence: Training" }).locator("tbody th");
  await expect(first.first()).toHaveText("1");
  await page.reload();
  await expect(first.first()).toHaveText("1");
  await untilState(backend, run_id, "finished");
  await expect(first.last()).toHaveText("24");
  await expect(page.getByText("finished", { exact: true })).toBeVisible();
});
