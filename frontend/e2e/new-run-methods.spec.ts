import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./backend";
import { checkCommand, chooseMethod, drop, fill, shownText, startAndFinish } from "./new-run";
import { expect, proceed, test, writeLines } from "./stage";

const LANGUAGES = join(ROOT, "data/languages");

interface Item {
  text: string;
  label: string;
}

function itemsOf(name: string, count: number): Item[] {
  const lines = readFileSync(join(LANGUAGES, `${name}.jsonl`), "utf8").split("\n");
  return lines.slice(0, count).map((line) => JSON.parse(line) as Item);
}

function conversations(items: readonly Item[]): string[] {
  return items.map(({ text, label }) =>
    JSON.stringify({
      messages: [
        { role: "user", content: text },
        { role: "assistant", content: label },
      ],
    }),
  );
}

test("a model is fine-tuned on conversations, and no teacher is spoken of", async ({
  page,
  backend,
  workspace,
}) => {
  const train = writeLines(join(workspace, "Gespräche.jsonl"), conversations(itemsOf("train", 24)));
  const held = writeLines(
    join(workspace, "held-out.jsonl"),
    conversations(itemsOf("validation", 20)),
  );
  const lines = conversations(itemsOf("train", 24));
  lines[6] = '{"messages": [{"role": "user", "content": "Who answers?"}]}';
  const broken = writeLines(join(workspace, "broken.jsonl"), lines);

  await chooseMethod(page, /^Supervised fine-tuning/);
  await proceed(page, "models");
  await page.getByRole("combobox", { name: "Model", exact: true }).fill("nobody/nothing");
  await expect(page.getByRole("alert").first()).toBeVisible();
  await page.getByRole("combobox", { name: "Model", exact: true }).fill("tiny-answerer");
  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(page.getByText("Teacher model")).toHaveCount(0);
  await proceed(page, "data");

  const field = page.getByRole("textbox", { name: "Training conversations", exact: true });
  await drop(page, "training conversations", broken);
  await expect(page.getByRole("alert").filter({ hasText: "line 7" })).toBeVisible();
  await expect(field).toHaveAttribute("aria-invalid", "true");
  await drop(page, "training conversations", train);
  await drop(page, "validation file", held);
  await expect(page.getByText("No problems found")).toHaveCount(2);
  await expect(field).toHaveAttribute("aria-invalid", "false");
  await page.getByText("Lines as the model reads them").first().click();
  await expect(page.getByRole("region", { name: "First lines" })).toContainText(/\d+ tokens/);
  await proceed(page, "objective");

  await fill(page, { Epochs: "1", "Batch size": "4", "Steps between evaluations": "2" });
  await fill(page, { "Gradient accumulation": "2", "Steps between checkpoints": "2" });
  await proceed(page, "budget");
  await expect(page.getByText("Fits", { exact: true })).toBeVisible();
  await expect(page.getByText("3 steps")).toBeVisible();
  await expect(page.getByRole("main")).not.toContainText(/teacher/i);
  await proceed(page, "review");
  expect(checkCommand(await shownText(page, "As a command"), workspace)).toBeTruthy();

  await startAndFinish(page, backend, "sft");
  await expect(page.getByRole("main")).not.toContainText(/teacher|divergence/i);
});

test("a long prompt is distilled away in three stages", async ({ page, backend, workspace }) => {
  const csv = itemsOf("train", 12).map(
    ({ text, label }) => `"${text.replace(/"/g, '""')}",${label}`,
  );
  const inputs = writeLines(join(workspace, "Sätze.csv"), ["text,label", ...csv]);
  const held = writeLines(
    join(workspace, "held-out.jsonl"),
    itemsOf("validation", 6).map((item) => JSON.stringify(item)),
  );
  const broken = writeLines(join(workspace, "broken.csv"), ["text,label", "Hallo,de", "a,b,c"]);

  await chooseMethod(page, /^Prompt distillation/);
  await proceed(page, "models");
  await page.getByRole("combobox", { name: "Teacher model" }).fill("tiny-thinker");
  await page.getByRole("combobox", { name: "Student model" }).fill("tiny-answerer");
  await expect(page.getByText("They need not share their tokens")).toBeVisible();
  await proceed(page, "data");

  await drop(page, "teacher's prompt", join(LANGUAGES, "prompt.md"));
  await expect(page.getByText("tokens of the teacher")).toBeVisible();
  await drop(page, "inputs", broken);
  const field = page.getByRole("textbox", { name: "Training inputs", exact: true });
  await expect(page.getByRole("alert").filter({ hasText: "line 3" })).toBeVisible();
  await expect(field).toHaveAttribute("aria-invalid", "true");
  await drop(page, "inputs", inputs);
  await drop(page, "validation file", held);
  await expect(page.getByText("No problems found")).toHaveCount(2);
  await fill(page, { Labels: "ar, de, de" });
  await expect(page.getByText("names the same label twice")).toBeVisible();
  await fill(page, { Labels: "ar, de, el, en, es, fr, hi, ru, tr, ur, vi, zh, ot" });
  await expect(page.getByRole("alert")).toHaveCount(0);
  await proceed(page, "objective");

  await expect(page.getByText("Three stages in one run")).toBeVisible();
  await expect(page.getByLabel("Which answer counts")).toHaveCount(0);
  await fill(page, { "Optimizer steps": "4", "Batch size": "4", "Steps between evaluations": "2" });
  await fill(page, { "Steps between checkpoints": "2", "Gradient accumulation": "1" });
  await fill(page, { "Warm-up steps": "1" });
  await proceed(page, "budget");
  await expect(page.getByText("Teacher's answers")).toBeVisible();
  await proceed(page, "review");
  expect(checkCommand(await shownText(page, "As a command"), workspace)).toBeTruthy();

  await startAndFinish(page, backend, "prompt");
  for (const stage of ["Generate", "Train", "Evaluate"]) {
    await expect(page.getByRole("listitem").filter({ hasText: stage })).toContainText("done");
  }
  await expect(page.getByText("4 of 4 variants")).toBeVisible();
  await expect(page.getByText("Student without the prompt")).toBeVisible();
  await expect(page.getByRole("row", { name: /^student before/ })).toBeVisible();
  await expect(page.getByRole("main")).not.toContainText(/divergence|rollout/i);
  await page.getByRole("link", { name: "Labels, confusions and answers" }).click();
  await expect(page.getByRole("heading", { name: "Variants on 6 items" })).toBeVisible();
  await expect(page.getByRole("heading", { name: "Over the checkpoints" })).toBeVisible();
});

test("turning to another method and back loses nothing", async ({ page }) => {
  await chooseMethod(page, /^Supervised fine-tuning/);
  await proceed(page, "models");
  await page.getByRole("combobox", { name: "Model", exact: true }).fill("tiny-student");
  await chooseMethod(page, /^On-policy distillation/);
  await proceed(page, "models");
  await expect(page.getByRole("combobox", { name: "Student model" })).toHaveValue("tiny-student");
  await chooseMethod(page, /^Supervised fine-tuning/);
  await proceed(page, "models");
  await expect(page.getByRole("combobox", { name: "Model", exact: true })).toHaveValue(
    "tiny-student",
  );
});
