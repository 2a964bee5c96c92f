import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { seriousFindings } from "./axe";
import { ROOT } from "./backend";
import { expect, SLOW, test, writeLines } from "./stage";

const LANGUAGES = join(ROOT, "data/languages");
const NUM_ITEMS = 24;
const LABELS = "ar, de, el, en, es, fr, hi, ru, tr, ur, vi, zh, ot";

/** Two held-out items of every label but one, as CSV. */
function itemsWithout(missing: string): string[] {
  const lines = readFileSync(join(LANGUAGES, "validation.jsonl"), "utf8").trim().split("\n");
  const items = lines
    .map((line) => JSON.parse(line) as { text: string; label: string })
    .filter((item) => item.label !== missing);
  const seen = new Map<string, number>();
  const kept = items.filter(({ label }) => {
    seen.set(label, (seen.get(label) ?? 0) + 1);
    return (seen.get(label) ?? 0) <= 2;
  });
  const rows = kept.map((item) => `"${item.text.replaceAll('"', '""')}",${item.label}`);
  return ["text,label", ...rows];
}

async function openForm(page: Page): Promise<void> {
  await page.getByRole("button", { name: "New evaluation" }).click();
  await expect(page.getByRole("heading", { name: "New evaluation" })).toBeVisible();
}

async function fillForm(page: Page, values: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    await page.getByLabel(name, { exact: true }).fill(value);
  }
}

/** Starts what the form says and waits for the table of its variants. */
async function startAndWait(page: Page, numItems: number): Promise<void> {
  await page.getByRole("button", { name: "Start the evaluation" }).click();
  await expect(page.getByText("Still answering")).toBeVisible();
  await expect(page.getByRole("heading", { name: `Variants on ${numItems} items` })).toBeVisible(
    SLOW,
  );
}

/** Numbers of a cell such as "+7.7 to +20.1", with the sign that prints as a real minus. */
function numbersIn(text: string): number[] {
  const written = text.replaceAll("\u2212", "-").match(/[+-]?\d+\.\d+/g) ?? [];
  return written.map(Number);
}

/** No row of the comparison names a winner where its interval holds no difference. */
async function expectNoWinnerInside(page: Page, numPairs: number): Promise<void> {
  const table = page.getByRole("table").filter({ hasText: "First minus second" });
  const rows = table.locator("tbody tr");
  await expect(rows).toHaveCount(numPairs);
  for (const row of await rows.all()) {
    const cells = await row.locator("td").allTextContents();
    const [low = 0, high = 0] = numbersIn(cells[1] ?? "");
    expect(cells[3]).toMatch(low <= 0 && high >= 0 ? /^No difference shown$/ : / is better$/);
  }
}

test("models answer labelled items, and what they said is counted and compared", async ({
  page,
  workspace,
}) => {
  const items = writeLines(join(workspace, "Sätze mit Sprachen.csv"), itemsWithout("hi"));
  const broken = writeLines(join(workspace, "broken.csv"), ["text,label", "Hallo,de", "a,b,c"]);

  await test.step("an empty page leads to a form", async () => {
    await page.getByRole("link", { name: "Evaluate" }).click();
    await expect(page.getByText("Nothing evaluated yet")).toBeVisible();
    await openForm(page);
  });

  await test.step("what cannot be used is told at its field", async () => {
    await fillForm(page, { Model: "nobody/nothing", "Labelled items": broken });
    await expect(page.getByRole("alert").filter({ hasText: "line 3" })).toBeVisible();
    await expect(page.getByRole("alert").filter({ hasText: "nobody/nothing" })).toBeVisible();
    await expect(page.getByRole("button", { name: "Start the evaluation" })).toBeDisabled();
  });

  await test.step("a teacher with a prompt and a student with and without it answer", async () => {
    await fillForm(page, { Model: "tiny-answerer", Teacher: "tiny-thinker", Labels: LABELS });
    await page.getByLabel("Drop the labelled items here", { exact: true }).setInputFiles(items);
    await page
      .getByLabel("Drop the system prompt here", { exact: true })
      .setInputFiles(join(LANGUAGES, "prompt.md"));
    await fillForm(page, { "Longest answer": "64", Name: "Who knows languages" });
    await expect(page.getByRole("alert")).toHaveCount(0);
    await expect(page.getByText("No problems found")).toBeVisible();
    await startAndWait(page, NUM_ITEMS);
  });

  const variants = page.getByRole("table").filter({ hasText: "95 % interval" }).first();
  await test.step("accuracy, agreement and speed stand side by side", async () => {
    await expect(variants.locator("tbody tr")).toHaveCount(3);
    const teacher = variants.getByRole("row").filter({ hasText: "teacher with prompt" });
    await expect(teacher.locator("td").nth(1)).toHaveText(/^\d+\.\d to \d+\.\d$/);
    const student = variants.getByRole("row").filter({ hasText: "student with prompt" });
    await expect(student.locator("td").nth(4)).toHaveText(/^\d+\.\d$/);
    await expect(student.locator("td").nth(7)).toHaveText(/×$/);
  });

  await test.step("the keyboard chooses a variant", async () => {
    await page.getByRole("button", { name: "teacher with prompt" }).press("Enter");
    await expect(
      page.getByRole("heading", { name: "Labels, worst first: teacher with prompt" }),
    ).toBeVisible();
    await expect(page.getByRole("button", { name: "teacher with prompt" })).toHaveAttribute(
      "aria-pressed",
      "true",
    );
  });

  await test.step("labels, confusions and answers tell what went wrong", async () => {
    const labels = page.getByRole("region", { name: "Labels, worst first" });
    const shares = await labels.locator("tbody tr td:nth-of-type(2)").allTextContents();
    const known = shares.slice(0, -1).map(Number);
    expect(known).toEqual(known.toSorted((a, b) => a - b));
    await expect(labels.getByRole("row").filter({ hasText: "no item has this label" })).toHaveCount(
      1,
    );
    const map = page.getByRole("region", { name: "Confusions" });
    await expect(map.getByRole("columnheader")).toHaveCount(15);
    await expect(map.getByRole("columnheader", { name: "unreadable" })).toBeVisible();
    await expect(map.locator("tbody tr")).toHaveCount(13);
    const counts = await map.locator("tbody td").allTextContents();
    expect(counts.reduce((sum, count) => sum + Number(count), 0)).toBe(NUM_ITEMS);
    await page.getByRole("button", { name: "All", exact: true }).click();
    await expect(page.getByRole("heading", { name: `Answers (${NUM_ITEMS})` })).toBeVisible();
  });

  await test.step("a confusion leads to the answers that it counts, and words find one", async () => {
    const map = page.getByRole("region", { name: "Confusions" });
    const cell = map.getByRole("button").first();
    const count = Number(await cell.textContent());
    await cell.click();
    const answers = page.getByRole("table").filter({ hasText: "Expected" }).last();
    await expect(page.getByRole("heading", { name: `Answers (${count})` })).toBeVisible();
    await expect(page.getByRole("button", { name: /^expected / })).toBeVisible();
    const item = answers.getByRole("button").first();
    const text = (await item.textContent()) ?? "";
    await item.click();
    await expect(page.getByRole("heading", { name: /^The reply/ })).toBeVisible();
    await page.getByLabel("Search the answers").fill(text);
    await expect(page.getByRole("heading", { name: "Answers (1)" })).toBeVisible();
    await page.getByRole("button", { name: /^expected / }).click();
    await page.getByLabel("Search the answers").fill("");
    await page.getByRole("button", { name: "All", exact: true }).click();
    await expect(page.getByRole("heading", { name: `Answers (${NUM_ITEMS})` })).toBeVisible();
  });

  await test.step("the chosen variant's figure stands first, in both themes", async () => {
    const headline = page.getByRole("region", { name: "Headline" });
    await expect(headline).toContainText(/teacher with prompt is right\s*\d+\.\d %/);
    await expect(headline.getByRole("listitem")).toHaveCount(2);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await seriousFindings(page)).toEqual([]);
    }
  });

  await test.step("no winner is named inside the interval", () => expectNoWinnerInside(page, 3));

  await test.step("another evaluation of the same items is compared with it", async () => {
    await openForm(page);
    await fillForm(page, { Model: "tiny-student", "Labelled items": items, Labels: LABELS });
    await fillForm(page, { "Longest answer": "8", Name: "Who does not" });
    await startAndWait(page, NUM_ITEMS);
    await page.getByRole("combobox", { name: "Compare with another run" }).click();
    await page.getByRole("option", { name: "Who knows languages" }).click();
    await expectNoWinnerInside(page, 6);
  });
});
