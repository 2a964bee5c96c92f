import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seriousFindings } from "./axe";
import { ROOT } from "./backend";
import { expect, SLOW, TRAIN, test, VALIDATION, writeLines } from "./stage";

const NUM_ITEMS = 12;
const COMMON = `teacher_model: tiny-teacher, student_model: tiny-student, prompts: ${JSON.stringify(TRAIN)},
      validation_prompts: ${JSON.stringify(VALIDATION)}, batch_size: 4, gradient_accumulation_steps: 1,
      max_generation_tokens: 8, eval_prompts: 4, grad_checkpoint: false, mixed_precision: false,
      teacher_cache_size_mb: 64`;

/** Two stages, the second long enough to be paused, and three variants on a few items. */
function pipelineLines(items: string): string[] {
  return [
    "name: learn dates twice",
    "stages:",
    "  - name: first",
    "    method: on_policy",
    `    settings: {${COMMON}, num_steps: 2, eval_every: 2, checkpoint_every: 2}`,
    "  - name: second",
    "    method: on_policy",
    "    from: first",
    `    settings: {${COMMON}, num_steps: 60, eval_every: 60, checkpoint_every: 5}`,
    "compare:",
    `  inputs: ${JSON.stringify(items)}`,
    "  variants: [first, second, {model: tiny-student, name: untrained}]",
    "  max_answer_tokens: 4",
    "  mixed_precision: false",
  ];
}

function itemLines(): string[] {
  const file = join(ROOT, "data/causal/test.jsonl");
  return readFileSync(file, "utf8").split("\n").slice(0, NUM_ITEMS);
}

test("a pipeline is started from a file, paused, gone on with, and ends in a table", async ({
  page,
  workspace,
}) => {
  const items = writeLines(join(workspace, "Fälle.jsonl"), itemLines());
  const good = writeLines(join(workspace, "zwei Stufen.yaml"), pipelineLines(items));
  const bad = writeLines(
    join(workspace, "bad.yaml"),
    pipelineLines(items).map((line) => line.replace("from: first", "from: nobody")),
  );
  const stages = page.getByRole("table").filter({ hasText: "Goes on from" });
  const line = (name: string) =>
    stages.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });

  await test.step("what is wrong is told before anything runs", async () => {
    await page.getByRole("link", { name: "Pipelines" }).click();
    await expect(page.getByText("No pipeline yet")).toBeVisible();
    await page.getByRole("button", { name: "New pipeline" }).click();
    const drop = page.getByLabel("Drop a pipeline file here", { exact: true });
    await drop.setInputFiles(bad);
    await page.getByRole("button", { name: "Check and start" }).click();
    await expect(page.getByRole("alert").filter({ hasText: "nobody" })).toBeVisible();
    await drop.setInputFiles(good);
    await page.getByRole("button", { name: "Check and start" }).click();
    await expect(page.getByRole("heading", { name: /learn dates twice/ })).toBeVisible(SLOW);
  });

  await test.step("it is paused in its second stage and gone on with", async () => {
    await expect(line("second").getByText("running")).toBeVisible(SLOW);
    await expect(line("first").getByText("finished")).toBeVisible();
    await page.getByRole("button", { name: "Pause" }).click();
    await expect(line("second").getByText("paused")).toBeVisible(SLOW);
    await expect(
      page.getByRole("note").filter({ hasText: "paused in stage second" }),
    ).toBeVisible();
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await expect(line("second").getByText("running")).toBeVisible(SLOW);
  });

  await test.step("in the end every variant has its accuracy and nobody wins inside the interval", async () => {
    await expect(
      page.getByRole("heading", { name: `Compared on ${NUM_ITEMS} held-out items` }),
    ).toBeVisible(SLOW);
    const table = page.getByRole("table").filter({ hasText: "Behind the best" });
    for (const name of ["first", "second", "untrained"]) {
      await expect(table.getByRole("link", { name, exact: true })).toBeVisible();
      await expect(table.getByRole("img", { name: new RegExp(`^${name}: \\d`) })).toBeVisible();
    }
    // Four tokens hold no answer, so no variant can be ahead of another.
    await expect(page.getByText(/^No winner: /)).toBeVisible();
    await expect(table.getByText("rule: majority")).toBeVisible();
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("the table is a file, and the runs lie where all runs do", async () => {
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name: "CSV" }).click();
    const text = readFileSync(await (await waiting).path(), "utf8");
    expect(text.split("\n")[0]).toContain("accuracy");
    expect(text).toContain("untrained");
    await page.getByRole("link", { name: "Compare runs" }).click();
    await expect(page.getByText("Settings that differ")).toBeVisible();
    await page.goBack();
    await line("second").getByRole("link", { name: "second" }).click();
    await expect(page.getByRole("heading", { name: "Report card" })).toBeVisible();
  });
});
