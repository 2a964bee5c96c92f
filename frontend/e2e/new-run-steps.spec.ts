/** Leaks, the marks of the steps, and copies of a run with one setting varied. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import type { RunSummary } from "@/api/types";
import { seriousFindings } from "./axe";
import { checkCommand, chooseMethod, drop, fill, shownText, startAndFinish } from "./new-run";
import {
  createRun,
  expect,
  proceed,
  SLOW,
  TRAIN,
  test,
  untilState,
  VALIDATION,
  writeLines,
} from "./stage";

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
  await expect(page.getByRole("row", { name: "Batch size 2 3" })).toBeVisible();

  const values = page.getByRole("textbox", { name: "Values, with commas between them" });
  await values.fill("1e-3, 0");
  await expect(page.getByText("0: More than 0.")).toBeVisible();
  await values.fill("1e-3, 3e-3");
  await expect(page.getByRole("list", { name: "Runs to queue" }).getByRole("listitem")).toHaveText([
    "sweep: Learning rate 0.001",
    "sweep: Learning rate 0.003",
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
  await expect(page.getByText("sweep: Learning rate 0.003").first()).toBeVisible(SLOW);
});

test("several teachers are listed, a run learns from them, and its sets tell their state", async ({
  page,
  backend,
  workspace,
}) => {
  const lines = (file: string, count: number) =>
    readFileSync(file, "utf8")
      .split("\n", count)
      .map((line, index) =>
        JSON.stringify({ ...JSON.parse(line), teacher: index % 2 ? "self" : "first" }),
      );
  const train = writeLines(join(workspace, "two teachers.jsonl"), lines(TRAIN, 40));
  const held = writeLines(join(workspace, "two held out.jsonl"), lines(VALIDATION, 24));

  await test.step("an entry says what it lacks, and Review leads to it", async () => {
    await chooseMethod(page, /demonstration/i);
    await proceed(page, "models");
    await page.getByRole("button", { name: "Use several teachers" }).click(SLOW);
    await expect(page.getByRole("combobox", { name: "Teacher model" })).toHaveCount(0);
    await expect(page.getByText("Choose a model: its alias")).toBeVisible();
    await mark(page, "Review", "").click();
    await expect(page.getByText("Something is wrong")).toBeVisible(SLOW);
    await page
      .getByRole("link", { name: /^Several teachers, Model:/ })
      .first()
      .click();
    const second = page.getByRole("listitem", { name: "second" });
    await expect(second.getByRole("combobox", { name: "Model" })).toBeFocused();
    await second.getByRole("button", { name: "On a server" }).click();
    await second.getByRole("textbox", { name: "Server's address" }).fill("mac:8100");
    await expect(second.getByText("begins with http://")).toBeVisible(SLOW);
    await second.getByRole("button", { name: "Copy of the student" }).click();
    await second.getByRole("textbox", { name: "Steps between refreshes" }).fill("1");
    await second.getByRole("textbox", { name: "Name" }).fill("self");
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("lines that name no teacher are an error, and those that do are learned from", async () => {
    await proceed(page, "data");
    await expect(page.getByText("names no teacher").first()).toBeVisible(SLOW);
    await drop(page, "training prompts", train);
    await drop(page, "validation file", held);
    await expect(mark(page, "Data", "done")).toBeVisible(SLOW);
    await proceed(page, "objective");
    await fill(page, {
      "Optimizer steps": "2",
      "Batch size": "4",
      "Warm-up steps": "0",
      "Steps between evaluations": "2",
      "Prompts per evaluation": "4",
    });
    await proceed(page, "budget");
    await proceed(page, "review");
    const told = "first: tiny-teacher, self: copy of the student, new every step";
    await expect(page.getByRole("row", { name: `Several teachers empty ${told}` })).toBeVisible(
      SLOW,
    );
    expect(checkCommand(await shownText(page, "As a command"), workspace)).toBeTruthy();
    await startAndFinish(page, backend, "distill");
  });

  await test.step("a clone has the same teachers", async () => {
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Clone and edit" }).click();
    await expect(page.getByText("this is the run as it was")).toBeVisible(SLOW);
    await mark(page, "Models", "").click();
    const first = page.getByRole("listitem", { name: "first" });
    await expect(first.getByRole("combobox", { name: "Model" })).toHaveValue("tiny-teacher");
    await page.getByRole("button", { name: "Remove self" }).click();
    await mark(page, "Review", "").click();
    await expect(
      page.getByRole("row", { name: /^Several teachers first: tiny-teacher, self/ }),
    ).toBeVisible();
  });

  await test.step("the table of sets tells state, lines and use; a press opens one", async () => {
    await page.getByRole("navigation", { name: "Pages" }).getByText("Data").click();
    const row = page.getByRole("row", { name: /^two teachers\.jsonl/ });
    await expect(row).toContainText("40", SLOW);
    await expect(row).toContainText("1 run");
    await expect(row).toContainText(/Usable|With warnings/);
    await page.getByRole("button", { name: "Lines" }).click();
    await expect(page.getByRole("columnheader", { name: "Lines" })).toHaveAttribute(
      "aria-sort",
      "descending",
    );
    expect(await seriousFindings(page)).toEqual([]);
    await row.getByRole("link", { name: "two teachers.jsonl" }).click();
    await expect(page.getByRole("heading", { name: "Line by line" })).toBeVisible();
  });

  await test.step("a folder that cannot be used is refused at once", async () => {
    await page.getByRole("navigation", { name: "Pages" }).getByText("API and settings").click();
    await page
      .getByRole("navigation", { name: "Parts of the settings" })
      .getByRole("link", { name: "Settings" })
      .click();
    const exports = page.getByRole("combobox", { name: "Exports" });
    const form = page.locator("form").filter({ has: exports });
    await exports.fill(join(workspace, "nowhere"));
    await form.getByRole("button", { name: "Save" }).click();
    await expect(form.getByText("There is no folder")).toBeVisible();
    await exports.fill(workspace);
    await form.getByRole("button", { name: "Save" }).click();
    await expect(form.getByRole("button", { name: "Use the default" })).toBeVisible();
    expect(await seriousFindings(page)).toEqual([]);
  });
});
