import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { PYTHON, ROOT } from "./backend";
import { expect, TRAIN, test, VALIDATION, writeLines } from "./stage";

async function takeDemonstration(page: Page): Promise<void> {
  await page.goto("/new/method");
  await page.getByRole("button", { name: /demonstration/i }).click();
}

async function openStep(page: Page, label: string): Promise<void> {
  await page.getByRole("navigation", { name: "Steps" }).getByRole("link", { name: label }).click();
}

test("a broken validation file is shown by line and cannot start", async ({ page, workspace }) => {
  const lines = readFileSync(VALIDATION, "utf8").trim().split("\n");
  lines[4] = '{"prompt": "the quotes do not end';
  const broken = writeLines(join(workspace, "broken held-out.jsonl"), lines);

  await takeDemonstration(page);
  await openStep(page, "Data");
  await page.getByLabel("Drop the training prompts here", { exact: true }).setInputFiles(TRAIN);
  await page.getByLabel("Drop the validation file here", { exact: true }).setInputFiles(broken);
  await expect(page.getByText("Has lines that cannot be used")).toBeVisible();
  await expect(page.getByRole("listitem").filter({ hasText: "line 5" })).toBeVisible();

  await openStep(page, "Review");
  await expect(page.getByRole("alert").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeDisabled();
});

test("two models that do not share their tokens are told apart", async ({ page, workspace }) => {
  const stranger = join(workspace, "ein fremder Lehrer");
  execFileSync(PYTHON, [join(ROOT, "frontend/e2e/make_stranger.py"), stranger], { cwd: ROOT });

  await takeDemonstration(page);
  await openStep(page, "Models");
  await page.getByRole("combobox", { name: "Teacher model" }).fill(stranger);
  await expect(page.getByLabel("Mismatch").first()).toBeVisible();

  await openStep(page, "Review");
  await expect(page.getByRole("alert").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeDisabled();
});
