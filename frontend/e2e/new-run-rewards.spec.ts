import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkCommand, chooseMethod, drop, fill, shownText, startAndFinish } from "./new-run";
import { expect, proceed, TRAIN, test, VALIDATION, writeLines } from "./stage";

function some(file: string, count: number): string[] {
  return readFileSync(file, "utf8").split("\n").slice(0, count);
}

test("a model learns from rewards, and each completion shows what it was worth", async ({
  page,
  backend,
  workspace,
}) => {
  const train = writeLines(join(workspace, "Daten.jsonl"), some(TRAIN, 40));
  const held = writeLines(join(workspace, "held-out.jsonl"), some(VALIDATION, 20));
  const bare = some(TRAIN, 20).map((line) =>
    JSON.stringify({ prompt: (JSON.parse(line) as { prompt: string }).prompt }),
  );

  await chooseMethod(page, /^GRPO/);
  await proceed(page, "models");
  await page.getByRole("combobox", { name: "Model", exact: true }).fill("tiny-student");
  await expect(page.getByText("Teacher model")).toHaveCount(0);
  await proceed(page, "data");
  await drop(page, "training prompts", writeLines(join(workspace, "bare.jsonl"), bare));
  await drop(page, "validation file", held);
  await expect(page.getByRole("alert").filter({ hasText: "answer" }).first()).toBeVisible();
  await drop(page, "training prompts", train);
  await expect(page.getByText("No problems found")).toHaveCount(2);
  await proceed(page, "objective");

  await fill(page, {
    "Optimizer steps": "3",
    "Batch size": "4",
    "Completions per prompt": "4",
    "Gradient accumulation": "1",
    "Longest completion": "24",
    "Warm-up steps": "1",
    "Steps between evaluations": "3",
    "Steps between checkpoints": "3",
  });
  await expect(page.getByRole("switch", { name: "Equal to the answer" })).toBeChecked();
  await proceed(page, "budget");
  await expect(page.getByText("Fits", { exact: true })).toBeVisible();
  await proceed(page, "review");
  expect(checkCommand(await shownText(page, "As a command"), workspace)).toBeTruthy();

  await startAndFinish(page, backend, "grpo");
  await expect(page.getByText("Proof of learning passed")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Reward", exact: true })).toBeVisible();
  await expect(page.getByText("Right on held-out prompts")).toBeVisible();
  await expect(page.getByText("from", { exact: false }).first()).toBeVisible();
  await expect(page.getByRole("main")).not.toContainText(/teacher|divergence/i);

  await page.getByRole("link", { name: "Rollouts", exact: true }).click();
  const group = page.getByText(/\d+ completions of one prompt/).first();
  await expect(group).toBeVisible();
  const worth = page.getByText(/tokens · reward .* · advantage/);
  expect(await worth.count()).toBeGreaterThanOrEqual(2);
  const tokens = page.getByRole("listbox", { name: "Tokens of the completion" }).first();
  await expect(tokens.getByRole("option").first()).toBeVisible();
  await tokens.focus();
  await page.keyboard.press("ArrowRight");
  await expect(tokens.getByRole("option", { selected: true })).toHaveCount(1);
});
