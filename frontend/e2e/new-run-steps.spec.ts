/** Leaks, the marks of the steps, and copies of a run with one setting varied. */
import { join } from "node:path";
import type { Page } from "@playwright/test";
import type { RunSummary } from "@/api/types";
import { seriousFindings } from "./axe";
import { chooseMethod, drop } from "./new-run";
import { createRun, expect, proceed, SLOW, test, untilState, writeLines } from "./stage";

function prompts(first: number, last: number): string[] {
  return Array.from({ length: last - first }, (_, place) =>
    JSON.stringify({ prompt: `the date of day ${first + place}`, answer: `${first + place}` }),
  );
}

function mark(page: Page, step: string, state: string) {
  const name = new RegExp(`${state} ?${step}$`);
  return page.getByRole("navigation", { name: "Steps" }).getByRole("link", { name });
}

function figure(page: Page, label: string) {
  const shown = page.locator(".label", { hasText: new RegExp(`^${label}$`) });
  return shown.locator("xpath=..").first();
}

test("held-out lines that are trained on are an error, which one click mends", async ({
  page,
  workspace,
}) => {
  const all = writeLines(join(workspace, "all.jsonl"), prompts(0, 300));
  const copy = writeLines(join(workspace, "copy.jsonl"), prompts(0, 300));
  const mixed = writeLines(join(workspace, "mixed.jsonl"), prompts(240, 340));

  await test.step("the same content uploaded again is the same set, and no held-out set", async () => {
    await chooseMethod(page, /demonstration/i);
    await proceed(page, "models");
    await proceed(page, "data");
    await expect(mark(page, "Data", "done")).toBeVisible(SLOW);
    await drop(page, "training prompts", all);
    await drop(page, "validation file", copy);
    await expect(page.getByText("is here already as “all.jsonl”")).toBeVisible();
    await expect(mark(page, "Data", "has errors")).toBeVisible(SLOW);
    const missing = page.getByRole("contentinfo").or(page.locator("footer"));
    await expect(missing.getByText("are the same file")).toBeVisible();
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("review says it, does not start, and leads back to the field", async () => {
    await mark(page, "Review", "").click();
    await expect(figure(page, "Leakage")).toContainText("100", SLOW);
    await expect(page.getByText("Something is wrong")).toBeVisible();
    await expect(page.getByRole("button", { name: "Start", exact: true })).toBeDisabled();
    expect(await seriousFindings(page)).toEqual([]);
    await page.getByRole("link", { name: /are the same file/ }).click();
    await expect(page.getByRole("textbox", { name: "Validation prompts" })).toBeFocused();
  });

  await test.step("a tenth is held back: two new sets, said so", async () => {
    await page.getByRole("button", { name: "Hold back a tenth" }).click();
    await expect(page.getByText("Two new sets: “all training part (10%, seed 0)")).toBeVisible(
      SLOW,
    );
    await expect(mark(page, "Data", "done")).toBeVisible(SLOW);
    await mark(page, "Review", "").click();
    await expect(figure(page, "Lines to learn from")).toContainText("270", SLOW);
    await expect(figure(page, "Lines to learn from")).toContainText("30 held out");
    await expect(page.getByRole("button", { name: "Start", exact: true })).toBeEnabled(SLOW);
  });

  await test.step("what is held out is taken out of training", async () => {
    await mark(page, "Data", "done").click();
    await page.getByRole("button", { name: "all.jsonl" }).first().click();
    await drop(page, "validation file", mixed);
    await page.getByRole("button", { name: "Take 60 lines out of training" }).click(SLOW);
    await expect(page.getByText("60 lines taken out: the new set")).toBeVisible(SLOW);
    await expect(mark(page, "Data", "done")).toBeVisible(SLOW);
    await expect(page.getByText("No problems found")).toHaveCount(2);
  });
});

test("a run is cloned, changed, and queued with one value varied", async ({ page, backend }) => {
  const small = { num_steps: 2, eval_every: 2, eval_prompts: 2, batch_size: 2, run_name: "first" };
  const first = await createRun(backend, { ...small, max_generation_tokens: 8 });
  await untilState(backend, first.run_id, "finished");

  await page.goto(`${backend.url}/runs/${first.run_id}?tab=config`);
  await expect(page.getByText("Data as it was at the start")).toBeVisible();
  await expect(page.getByText(/^sha256 [0-9a-f]{16}$/)).toHaveCount(2);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Clone and edit" }).click();
  await expect(page.getByRole("heading", { name: "Different from “first”" })).toBeVisible(SLOW);
  await expect(page.getByText("this is the run as it was")).toBeVisible();
  await mark(page, "Objective", "").click();
  await page.getByLabel("Batch size").fill("3");
  await mark(page, "Review", "").click();
  await expect(page.getByRole("row", { name: "batch_size 2 3" })).toBeVisible();

  const values = page.getByRole("textbox", { name: "Values, with commas between them" });
  await values.fill("1e-3, 0");
  await expect(page.getByText("0: More than 0.")).toBeVisible();
  await values.fill("1e-3, 3e-3");
  await expect(page.getByRole("list", { name: "Runs to queue" }).getByRole("listitem")).toHaveText([
    "sweep learning_rate=0.001",
    "sweep learning_rate=0.003",
  ]);
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole("button", { name: "Queue 2 runs" }).click(SLOW);
  await expect(page.getByText("2 runs are queued")).toBeVisible(SLOW);
  const { runs } = await backend.ask<{ runs: RunSummary[] }>("/runs?search=sweep");
  expect(new Set(runs.map(({ annotations }) => annotations.tags?.[0])).size).toBe(1);
  for (const { run_id } of runs) {
    await untilState(backend, run_id, "finished");
  }
  await page.getByRole("link", { name: "Compare them" }).click();
  await expect(page.getByRole("heading", { name: "Compare" })).toBeVisible();
  await expect(page.getByText("sweep learning_rate=0.003").first()).toBeVisible(SLOW);
});
