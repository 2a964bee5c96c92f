import type { Page } from "@playwright/test";
import type { Checkpoint, RunDetail } from "@/api/types";
import { seriousFindings } from "./axe";
import { createRun, expect, SLOW, test, untilState } from "./stage";

const SETTINGS = {
  run_name: "the long way",
  num_steps: 6,
  eval_every: 2,
  checkpoint_every: 2,
  keep_checkpoints: 5,
};

/** The row of a step in the table of checkpoints. */
function rowOf(page: Page, step: number) {
  return page
    .getByRole("table", { name: "Checkpoints" })
    .getByRole("row")
    .filter({ has: page.getByText(String(step), { exact: true }) });
}

test("a checkpoint is judged, taken elsewhere and gone on from, and nothing is lost", async ({
  page,
  backend,
}) => {
  const { run_id } = await createRun(backend, SETTINGS);
  await untilState(backend, run_id, "finished");
  const detail = await backend.ask<RunDetail>(`/runs/${run_id}`);
  const { checkpoints } = await backend.ask<{ checkpoints: Checkpoint[] }>(
    `/runs/${run_id}/checkpoints`,
  );

  await test.step("the card says of which step its figures are, and what made the run", async () => {
    await page.goto(`/runs/${run_id}`);
    const step = detail.run.headline_step;
    await expect(page.getByText(`Held-out figures are those of step ${step}`)).toBeVisible();
    await expect(page.getByRole("heading", { name: "Where the time went" })).toBeVisible();
    await expect(page.getByRole("heading", { name: "What made it" })).toBeVisible();
    await expect(page.getByText("Not measured")).toHaveCount(0);
    await expect(page.getByText("Proof of learning passed")).toBeVisible();
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("a key opens the checkpoints, and the curve finds one", async () => {
    await page.keyboard.press("3");
    await expect(page).toHaveURL(/tab=checkpoints/);
    expect(checkpoints.map(({ step }) => step)).toEqual([2, 4, 6]);
    const kl = checkpoints[0]?.metrics?.["eval_reverse_kl"] ?? Number.NaN;
    await expect(rowOf(page, 2)).toContainText(kl.toPrecision(3).replace(/0+$/, "").slice(0, 4));
    await page.getByRole("button", { name: /^Checkpoint at step 4/ }).click();
    await expect(rowOf(page, 4)).toHaveAttribute("aria-current", "true");
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("export, evaluation and playground take exactly that checkpoint", async () => {
    await page.getByRole("link", { name: "Export the checkpoint of step 2" }).click();
    await expect(page.getByRole("combobox", { name: "Checkpoint" })).toHaveText(/Step 2/);
    await page.goto(`/runs/${run_id}?tab=checkpoints`);
    await page.getByRole("link", { name: "Evaluate the checkpoint of step 2" }).click();
    await expect(page.getByRole("textbox", { name: "Adapter" })).toHaveValue(
      /checkpoints\/000002$/,
    );
    await page.goto(`/runs/${run_id}?tab=checkpoints`);
    await page.getByRole("link", { name: "Try the checkpoint of step 2" }).click();
    await expect(page.getByRole("combobox", { name: "Checkpoint" })).toHaveText(/step 2/);
  });

  await test.step("from an earlier one a new run goes on, and the old one stays", async () => {
    await page.goto(`/runs/${run_id}?tab=checkpoints`);
    await page.getByRole("button", { name: "Resume from here, step 4" }).click();
    await expect(page.getByRole("heading", { name: "the long way from step 4" })).toBeVisible(SLOW);
    const made = new URL(page.url()).pathname.split("/").at(-1) ?? "";
    expect(made).not.toBe(run_id);
    await untilState(backend, made, "finished");
    const after = await backend.ask<RunDetail>(`/runs/${run_id}`);
    expect(after.run.num_events).toBe(detail.run.num_events);
    const again = await backend.ask<RunDetail>(`/runs/${made}`);
    expect(again.run.metrics["eval_reverse_kl"]?.after).toBe(
      detail.run.metrics["eval_reverse_kl"]?.after,
    );
  });
});

test("runs are read by method, in groups and as saved views", async ({ page, backend }) => {
  for (const seed of [1, 2, 2]) {
    await createRun(backend, { run_name: `of seed ${seed}`, seed }, false);
  }
  await page.goto("/runs");
  await expect(page.getByText("3 in this list")).toBeVisible();
  await page.getByRole("combobox", { name: "Method" }).click();
  await page.getByRole("option", { name: "On-policy distillation" }).click();
  await expect(page.getByRole("button", { name: "Divergence" })).toBeVisible();

  await page.getByRole("button", { name: "Group", exact: true }).click();
  await page.getByRole("radio", { name: "Seed", exact: true }).click();
  await page.keyboard.press("Escape");
  const second = page.getByRole("button", { name: /^Seed 2 2 runs/ });
  await expect(second).toBeVisible();
  await second.click();
  await expect(page.getByRole("link", { name: "of seed 2" })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "of seed 1" })).toBeVisible();
  await second.click();
  await expect(page.getByRole("link", { name: "of seed 2" })).toHaveCount(2);

  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("textbox", { name: "Name of the view" }).fill("by seed");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("button", { name: "by seed", exact: true })).toBeVisible();
  expect(await seriousFindings(page)).toEqual([]);
  await page.goto("/runs");
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("button", { name: "by seed", exact: true }).click();
  await expect(page).toHaveURL(/group=seed/);
  await expect(second).toBeVisible();
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await expect(page.getByText("Pause or resume the run").first()).toBeVisible();
});
