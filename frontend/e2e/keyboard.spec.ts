import type { Page } from "@playwright/test";
import { createRun, expect, SLOW, test } from "./stage";

/** G and a letter; again where a busy machine took more than a second between the two. */
async function go(page: Page, letter: string, path: string): Promise<void> {
  await expect(async () => {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await expect(page).toHaveURL(new RegExp(path), { timeout: 5000 });
  }).toPass(SLOW);
}

test("the shortcuts do what the cheat sheet says", async ({ page, backend }) => {
  await createRun(backend, { run_name: "first of two" }, false);
  await createRun(backend, { run_name: "second of two" }, false);
  const keys = page.keyboard;
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();

  await go(page, "m", "/models");
  await go(page, "r", "/runs");
  await expect(page.getByRole("checkbox", { name: /^Select/ })).toHaveCount(2);

  await keys.press("x");
  await keys.press("j");
  await keys.press("x");
  await expect(page.getByText("2 selected")).toBeVisible();
  await keys.press("k");
  await keys.press("c");
  await expect(page).toHaveURL(/\/compare/);

  await go(page, "r", "/runs");
  await expect(page.getByRole("checkbox", { name: /^Select/ })).toHaveCount(2);
  // Rows that are known already stand there before the page listens to keys.
  await expect(async () => {
    await keys.press("/");
    await expect(page.getByRole("searchbox")).toBeFocused({ timeout: 1000 });
  }).toPass(SLOW);
  await keys.type("first");
  await expect(page.getByRole("checkbox", { name: /^Select/ })).toHaveCount(1);
  await expect(page).toHaveURL(/q=first/);
  await page.getByRole("searchbox").blur();

  await keys.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await keys.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);

  await keys.press("ControlOrMeta+k");
  await expect(page.getByPlaceholder("Search runs and commands")).toBeFocused();
  await keys.type("second of");
  await expect(page.getByRole("option", { name: /second of two/, selected: true })).toBeVisible();
  await keys.press("Enter");
  await expect(page).toHaveURL(/\/runs\/distill_/);
});
