/**
 * Pictures of every page with runs of the embedded models, made on demand: one each for docs/images,
 * and all in both sizes and themes in out/screenshots, to be looked at.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import type { RunSummary } from "@/api/types";
import { Backend, PYTHON, ROOT } from "./backend";
import { pagesOf } from "./pages";
import { test as base, createRun, expect, runOf, SLOW, untilState } from "./stage";

const FOLDER = join(ROOT, "docs/images");
const EVERY = join(ROOT, "out/screenshots");
const SIZES = [
  { width: 1440, height: 900 },
  { width: 1024, height: 700 },
];
const LARGEST_BYTES = 250_000;
const STEPS = {
  batch_size: 8,
  max_generation_tokens: 24,
  eval_prompts: 100,
  eval_every: 15,
  checkpoint_every: 15,
};
const PAGES_IN_LIGHT = ["home", "run", "runs"];

/** Names a workspace in which the demonstrations have run already, and which is kept. */
const PREPARED = process.env["OPD_PICTURES_WORKSPACE"];

const test = base.extend({
  backend: async ({ workspace: fresh }, use) => {
    const workspace = PREPARED ?? fresh;
    for (const story of PREPARED ? [] : [["demo"], ["demo", "prompt-distillation"]]) {
      const command = ["-m", "OnPolicyDistill", ...story, "--workspace", workspace];
      execFileSync(PYTHON, command, { cwd: ROOT, stdio: "ignore" });
    }
    const backend = await Backend.start(workspace);
    await use(backend);
    await backend.close();
  },
});

test("every page has its picture", async ({ page, backend }) => {
  mkdirSync(FOLDER, { recursive: true });
  const { runs } = await backend.ask<{ runs: RunSummary[] }>("/runs?limit=50&sort=-step");
  const longest = (method: string) => runs.find((run) => run.method === method)?.run_id ?? "";
  const slower = {
    ...STEPS,
    num_steps: 45,
    learning_rate: 0.0005,
    run_name: "dates, learned slowly",
  };
  const second = await createRun(backend, slower);
  await untilState(backend, second.run_id, "finished");
  await pictureLiveRun(page, backend);

  await page.goto("/new/method");
  await page
    .getByRole("button", { name: /demonstration/i })
    .first()
    .click();
  const shown = pagesOf({
    first: longest("on_policy"),
    second: second.run_id,
    prompt: longest("prompt_distillation"),
    evaluation: longest("prompt_distillation"),
  });
  for (const { name, path, ready } of shown) {
    await page.goto(path);
    await expect(page.getByRole("main").getByText(ready).first()).toBeVisible(SLOW);
    if (name === "playground") {
      await ask(page);
    }
    await take(page, name);
    if (PAGES_IN_LIGHT.includes(name)) {
      await page.emulateMedia({ colorScheme: "light" });
      await take(page, `${name}-light`);
      await page.emulateMedia({ colorScheme: "dark" });
    }
    await takeEvery(page, name);
  }
});

/** A run in its middle, then ended. */
async function pictureLiveRun(page: Page, backend: Backend): Promise<void> {
  const settings = { ...STEPS, num_steps: 400, run_name: "dates, four hundred steps" };
  const { run_id } = await createRun(backend, settings);
  await page.goto(`/runs/${run_id}`);
  await expect.poll(async () => (await runOf(backend, run_id)).step, SLOW).toBeGreaterThan(40);
  await expect(page.getByRole("table", { name: "Divergence: Training" })).toBeAttached();
  await expect(page.getByText("Proof of learning passed")).toBeVisible();
  await take(page, "run-live");
  await backend.ask(`/runs/${run_id}/stop`, {});
  await untilState(backend, run_id, "finished");
}

async function ask(page: Page): Promise<void> {
  await page
    .getByRole("textbox", { name: "Prompt" })
    .fill("Monday, 8 Aug 44, half past eight in the evening");
  await page.getByRole("spinbutton", { name: "Max tokens" }).fill("24");
  await page.getByRole("button", { name: "Send" }).click(SLOW);
  await expect(page.getByText("graded by the teacher")).toBeVisible(SLOW);
  await expect(page.getByRole("button", { name: "Ask again" })).toBeVisible(SLOW);
}

/** A page in both sizes and themes; it is left as it was. */
async function takeEvery(page: Page, name: string): Promise<void> {
  const before = page.viewportSize();
  for (const size of SIZES) {
    await page.setViewportSize(size);
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      const path = join(EVERY, `${name}-${size.width}-${colorScheme}.png`);
      await page.screenshot({ path, animations: "disabled" });
    }
  }
  await page.emulateMedia({ colorScheme: "dark" });
  if (before) {
    await page.setViewportSize(before);
  }
}

async function take(page: Page, name: string): Promise<void> {
  await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
  // Skeletons are hidden from readers, and so have no role to wait for.
  await expect(page.locator("main [aria-hidden].bg-hover.rounded-sm")).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
  const path = join(FOLDER, `${name}.png`);
  await page.screenshot({ path, animations: "disabled" });
  execFileSync(PYTHON, [join(ROOT, "frontend/e2e/shrink_picture.py"), path]);
  expect(statSync(path).size, name).toBeLessThan(LARGEST_BYTES);
}
