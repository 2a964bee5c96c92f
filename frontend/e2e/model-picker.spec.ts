import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { seriousFindings } from "./axe";
import { PYTHON, ROOT } from "./backend";
import { chooseMethod } from "./new-run";
import { expect, proceed, report, test } from "./stage";

const DRAWN_AT_ONCE = 60;

function named(page: Page, field: string) {
  return page.getByRole("combobox", { name: field });
}

test("models are chosen from cards that say what they are and whether they fit", async ({
  page,
  workspace,
}) => {
  const stranger = join(workspace, "ein fremder Lehrer");
  execFileSync(PYTHON, [join(ROOT, "frontend/e2e/make_stranger.py"), stranger], { cwd: ROOT });
  await chooseMethod(page, /demonstration/i);
  await proceed(page, "models");
  const teachers = page.getByRole("listbox", { name: "Teacher model" });
  const count = page.getByRole("status").filter({ hasText: /models?$/ });

  await test.step("what the files hold is said, and the pair is judged in a line", async () => {
    await expect(page.getByRole("region", { name: "Teacher model" })).toContainText("32 bit");
    await expect(page.getByLabel("In order").first()).toBeVisible();
    await expect(page.getByText(/^Fits: .* GB, about/)).toBeVisible();
    const own = teachers.getByRole("option", { name: /^tiny-teacher/ });
    await expect(own).toHaveAttribute("aria-selected", "true");
    await expect(own).toContainText("on disk");
    await expect(teachers.getByRole("option", { name: /^tiny-thinker/ })).toContainText(
      "other tokens",
    );
  });

  await test.step("many models are listed, and only those on the screen are drawn", async () => {
    const total = Number.parseInt((await count.textContent()) ?? "", 10);
    const drawn = await teachers.getByRole("option").count();
    report(`${total} models, ${drawn} drawn`);
    expect(total).toBeGreaterThan(80);
    expect(drawn).toBeLessThan(DRAWN_AT_ONCE);
    await expect(teachers.getByRole("option").first()).toHaveAttribute(
      "aria-setsize",
      String(total),
    );
  });

  await test.step("they are filtered, and chosen by the keyboard; nothing jumps", async () => {
    const search = page.getByRole("searchbox", { name: "Search models" });
    await search.fill("qwen2.5 72b");
    await expect(teachers.getByRole("option")).toHaveCount(2);
    const option = teachers.getByRole("option", { name: /^qwen2.5-72b/ });
    await expect(option).toContainText(/download \d+/);
    await search.fill("tiny");
    await page.getByRole("button", { name: "Sees pictures" }).click();
    await expect(count).toHaveText("3 models");
    await page.getByRole("button", { name: "Sees pictures" }).click();
    await teachers.focus();
    const before = await teachers.boundingBox();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await expect(named(page, "Teacher model")).toHaveValue("tiny-student");
    await expect(page.getByText(/an equal teacher teaches nothing/).first()).toBeVisible();
    expect((await teachers.boundingBox())?.y).toBe(before?.y);
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await expect(page.getByLabel("Mismatch").first()).toBeVisible();
  });

  await test.step("a pair that fits is proposed, and taken with one press", async () => {
    const pairs = page.getByRole("region", { name: "Pairs that fit this machine" });
    await pairs.getByRole("button", { name: /tiny-teacher teaches tiny-student/ }).click();
    await expect(named(page, "Teacher model")).toHaveValue("tiny-teacher");
    await expect(page.getByLabel("Mismatch")).toHaveCount(0);
    await expect(page.getByLabel("In order").first()).toBeVisible();
  });

  await test.step("a folder is added in place and chosen for the student", async () => {
    await page.getByRole("searchbox", { name: "Search models" }).fill("fremder");
    await page.getByRole("button", { name: "Add a folder" }).click();
    await page.getByRole("textbox", { name: "Folder of a model" }).fill(stranger);
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.keyboard.press("Escape");
    await page
      .getByRole("group", { name: "Which model is chosen" })
      .getByRole("button", { name: "Student model" })
      .click();
    const students = page.getByRole("listbox", { name: "Student model" });
    await students.getByRole("option", { name: /fremder Lehrer/ }).click();
    await expect(named(page, "Student model")).toHaveValue(stranger);
    await expect(page.getByLabel("Mismatch").first()).toBeVisible();
  });

  await test.step("a model that is not here is taken in another form", async () => {
    await page.getByRole("searchbox", { name: "Search models" }).fill("qwen3-0.6b");
    await page.getByRole("option", { name: /^qwen3-0.6b/ }).click();
    await expect(named(page, "Student model")).toHaveValue("qwen3-0.6b");
    await page
      .getByRole("group", { name: "Form of the student model" })
      .getByRole("button", { name: "4 bit" })
      .click();
    await expect(named(page, "Student model")).toHaveValue("qwen3-0.6b-4bit");
    const slot = page.getByRole("region", { name: "Student model" });
    await expect(slot.getByRole("button", { name: "Download qwen3-0.6b-4bit" })).toBeVisible();
  });
  expect(await seriousFindings(page)).toEqual([]);

  await test.step("the folder is among the models with what can be done with it", async () => {
    await page.getByRole("navigation", { name: "Pages" }).getByText("Models").click();
    await page.getByRole("searchbox", { name: "Search models" }).fill("fremder");
    await expect(page.getByRole("heading", { name: "ein fremder Lehrer" })).toBeVisible();
    expect(await seriousFindings(page)).toEqual([]);
    await page.getByRole("button", { name: `Remove ${stranger}` }).click();
    await page.getByRole("button", { name: "Remove", exact: true }).click();
    await expect(page.getByText("No models match")).toBeVisible();
  });
});

test("the map says what fits at which length, and plans the run of a cell", async ({ page }) => {
  await page.getByRole("navigation", { name: "Pages" }).getByText("What fits").click();
  const table = page.getByRole("table", { name: "Pairs by completion length" });
  const row = table.getByRole("row").filter({ hasText: "tiny-student" });
  await expect(row.getByRole("button")).toHaveCount(5);
  await expect(row.getByRole("button").first()).toHaveText(/^fits .+ (s|min|h)$/);

  await test.step("other memory and all pairs show what does not fit", async () => {
    const before = await table.getByRole("row").count();
    await page.getByRole("combobox", { name: "Memory" }).click();
    await page.getByRole("option", { name: "a Mac with 512 GB" }).click();
    await expect.poll(() => table.getByRole("row").count()).toBeGreaterThan(before);
    await page.getByRole("combobox", { name: "Memory" }).click();
    await page.getByRole("option", { name: "a Mac with 16 GB" }).click();
    await page.getByRole("button", { name: "All", exact: true }).click();
    await page.getByRole("searchbox", { name: "Search pairs" }).fill("235b 30b");
    await expect(table.getByRole("button").first()).toHaveText(/^no, \d+ GB$/);
    await expect(table.getByRole("button").first()).toHaveAttribute("aria-disabled", "true");
  });
  expect(await seriousFindings(page)).toEqual([]);

  await page.getByRole("searchbox", { name: "Search pairs" }).fill("tiny-student");
  await table.getByRole("button").first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/new\/models$/);
  await expect(named(page, "Teacher model")).toHaveValue("tiny-teacher");
  await expect(named(page, "Student model")).toHaveValue("tiny-student");
  await proceed(page, "data");
  await proceed(page, "objective");
  await expect(page.getByLabel("Longest completion")).toHaveValue("512");
});
