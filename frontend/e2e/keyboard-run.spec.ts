import type { Page } from "@playwright/test";
import { expect, SLOW, TRAIN, test, untilState, VALIDATION } from "./stage";

/** Walks with Tab until a control of this name has the focus; Tab itself waits for nothing. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const named = { exact: typeof name === "string" };
  const control = page
    .getByLabel(name, named)
    .or(page.getByRole("button", { name, ...named }))
    .or(page.getByRole("link", { name, ...named }));
  await expect(control.first()).toBeVisible(SLOW);
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    const label = await page.evaluate(() => {
      const at = document.activeElement;
      const own = at?.getAttribute("aria-label");
      const labels = at instanceof HTMLInputElement ? at.labels?.[0]?.textContent : null;
      return (own ?? labels ?? at?.textContent ?? "").trim();
    });
    if (typeof name === "string" ? label === name : name.test(label)) {
      return;
    }
  }
  throw new Error(`Tab does not reach ${name}.`);
}

/** G and a letter; again where a busy machine took more than a second between the two. */
async function go(page: Page, letter: string, path: string): Promise<void> {
  await expect(async () => {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await expect(page).toHaveURL(new RegExp(path), { timeout: 5000 });
  }).toPass(SLOW);
}

async function proceedByKey(page: Page, step: string): Promise<void> {
  await tabTo(page, `Continue to ${step}`);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/new/${step}$`));
}

test("a run is planned and started without the mouse", async ({ page, backend }) => {
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
  await go(page, "n", "/new/method");
  // Home, which stays until the next page is there, has buttons of the same names.
  await expect(page.getByRole("group", { name: /should the student learn from/ })).toBeVisible();
  await tabTo(page, /demonstration/i);
  await page.keyboard.press("Enter");
  await proceedByKey(page, "models");
  await tabTo(page, "Teacher model");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("tiny-teacher");
  await proceedByKey(page, "data");
  await tabTo(page, "Training prompts");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(TRAIN);
  await tabTo(page, "Validation prompts");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(VALIDATION);
  await proceedByKey(page, "objective");
  await tabTo(page, /^Optimizer steps/);
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("4");
  await proceedByKey(page, "budget");
  await proceedByKey(page, "review");
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeEnabled();
  await tabTo(page, "Start");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/runs\/distill_/);
  await untilState(backend, new URL(page.url()).pathname.split("/").at(-1) ?? "", "finished");
});
