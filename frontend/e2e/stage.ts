/** Lends each story a workspace, the backend that serves it, and a page that is signed in. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect, type Page } from "@playwright/test";
import type { ConfigValues, RunSummary } from "@/api/types";
import { Backend, ROOT } from "./backend";

export const TRAIN = join(ROOT, "data/dates/train.jsonl");
export const VALIDATION = join(ROOT, "data/dates/validation.jsonl");

/** For what takes seconds here and minutes on a machine that is busy with other things. */
export const SLOW = { timeout: 300_000 };

interface Stage {
  workspace: string;
  backend: Backend;
}

export const test = base.extend<Stage>({
  // Spaces and umlauts, as real folders have them.
  workspace: async ({ browserName: _ }, use) => {
    const workspace = mkdtempSync(join(tmpdir(), "opd stories für "));
    await use(workspace);
    rmSync(workspace, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  },
  backend: async ({ workspace }, use) => {
    if (!existsSync(join(ROOT, "frontend/dist/index.html"))) {
      throw new Error("The screen is not built: run `make build` first.");
    }
    const backend = await Backend.start(workspace);
    await use(backend);
    await backend.close();
  },
  baseURL: async ({ backend }, use) => use(backend.url),
  // It has followed the link; what breaks in it fails the story.
  page: async ({ page, backend }, use) => {
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(`${error.message}\n${error.stack ?? ""}`));
    await page.goto(backend.link);
    await use(page);
    expect(errors, "nothing in the page throws").toEqual([]);
  },
});

export { expect };

/** What a story wants known beside its verdict. */
export function report(line: string): void {
  test.info().annotations.push({ type: "measured", description: line });
  process.stdout.write(`    ${line}\n`);
}

/** Goes on to the next step of a new run. */
export async function proceed(page: Page, step: string): Promise<void> {
  // On a busy machine a press may land while the page still moves: then it is made again.
  await expect(async () => {
    if (!page.url().endsWith(`/new/${step}`)) {
      await page.getByRole("link", { name: `Continue to ${step}` }).click({ timeout: 5000 });
    }
    await expect(page).toHaveURL(new RegExp(`/new/${step}$`), { timeout: 5000 });
  }).toPass(SLOW);
}

/** A short run of the embedded pair. */
export function tinyConfig(settings: Record<string, ConfigValues[string]> = {}): ConfigValues {
  return {
    method: "on_policy",
    distillation: {
      teacher_model: "tiny-teacher",
      student_model: "tiny-student",
      prompts: TRAIN,
      validation_prompts: VALIDATION,
      num_steps: 12,
      batch_size: 4,
      gradient_accumulation_steps: 1,
      learning_rate: 0.003,
      temperature: 1.0,
      kl_weight: 1.0,
      ce_weight: 0.0,
      max_generation_tokens: 16,
      eval_prompts: 8,
      eval_every: 6,
      checkpoint_every: 3,
      grad_checkpoint: false,
      mixed_precision: false,
      teacher_cache_size_mb: 64,
      early_stop_patience: 1000,
      ...settings,
    },
  };
}

/** A run made over the API, for stories that begin behind its making. */
export function createRun(
  backend: Backend,
  settings: Record<string, ConfigValues[string]> = {},
  start = true,
): Promise<RunSummary> {
  return backend.ask<RunSummary>("/runs", { config: tinyConfig(settings), start });
}

/** Waits until the backend says that a run is in a state. */
export async function untilState(backend: Backend, runId: string, state: RunSummary["state"]) {
  await expect.poll(async () => (await runOf(backend, runId)).state, SLOW).toBe(state);
}

export async function runOf(backend: Backend, runId: string): Promise<RunSummary> {
  return (await backend.ask<{ run: RunSummary }>(`/runs/${runId}`)).run;
}

export function writeLines(file: string, lines: readonly string[]): string {
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

/** The step that the page shows for a run at work. */
function shownStep(page: Page) {
  return page.locator(".label", { hasText: /^Step$/ }).locator("xpath=following-sibling::*[1]");
}

export async function stepNumber(page: Page): Promise<number> {
  // Before its first step a run shows what it waits for, and no step.
  const shown = shownStep(page);
  return (await shown.count()) === 0
    ? Number.NaN
    : Number.parseInt((await shown.textContent()) ?? "", 10);
}
