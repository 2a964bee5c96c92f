import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { seriousFindings } from "./axe";
import { ROOT } from "./backend";
import { chooseMethod } from "./new-run";
import { expect, proceed, report, SLOW, test } from "./stage";

const SQUARES = join(ROOT, "data/squares");
const PICTURES = [
  "blue-rectangle-1x3-at-2-0.png",
  "blue-rectangle-1x3-at-2-2.png",
  "blue-rectangle-1x4-at-1-2.png",
] as const;

function picture(name: string): string {
  return join(SQUARES, "images", name);
}

async function expectAccessible(page: Page): Promise<void> {
  for (const theme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    expect(await seriousFindings(page), theme).toEqual([]);
  }
}

/** Pictures that arrived; one that did not is a sign instead. */
async function expectShown(page: Page, name: string): Promise<void> {
  const shown = page.getByRole("img", { name }).first();
  await expect
    .poll(() => shown.evaluate((image: HTMLImageElement) => image.naturalWidth), SLOW)
    .toBeGreaterThan(0);
}

/** Hands a file over as a browser does that pastes it, or drops it. */
async function give(page: Page, name: string, how: "paste" | "drop"): Promise<void> {
  const base64 = readFileSync(picture(name)).toString("base64");
  await page.getByRole("textbox", { name: "Prompt" }).evaluate(
    (box, { name, base64, how }) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name, { type: "image/png" }));
      const shared = { bubbles: true, cancelable: true };
      box.dispatchEvent(
        how === "paste"
          ? new ClipboardEvent("paste", { ...shared, clipboardData: data })
          : new DragEvent("drop", { ...shared, dataTransfer: data }),
      );
    },
    { name, base64, how },
  );
}

test("a student that sees is distilled and asked, with its pictures in sight", async ({ page }) => {
  await test.step("the demonstration's files show their pictures", async () => {
    await chooseMethod(page, /^Vision distillation/);
    await page.getByRole("button", { name: /figures on squared paper/i }).click();
    await proceed(page, "models");
    await expect(page.getByLabel("Mismatch")).toHaveCount(0);
    await proceed(page, "data");
    await expect(page.getByText("Half of them take up to")).toHaveCount(2);
    await page.getByText("Lines as the model reads them").first().click();
    await expectShown(page, "First picture of line 1");
  });

  await test.step("a picture is one chip among the tokens, with its count", async () => {
    const lines = page.getByRole("region", { name: "First lines" });
    const line = lines.getByRole("listitem").first();
    await expect(line).toContainText(/<\|vision_start\|>\s*\d+ tokens\s*<\|vision_end\|>/);
    await line.getByRole("button", { name: /^Show Picture 1, \d+ tokens/ }).press("Enter");
    await expect(page.getByRole("dialog", { name: "Picture 1" })).toContainText("96 × 96 pixels");
    await page.keyboard.press("Escape");
    await expectAccessible(page);
    await proceed(page, "objective");
  });

  await test.step("a short run learns", async () => {
    await page.getByLabel("Optimizer steps").fill("6");
    const evaluations = page.locator("section").filter({ hasText: "Evaluations" });
    await evaluations.getByLabel("Steps between evaluations").fill("6");
    await evaluations.getByText(/^Advanced/).click();
    await evaluations.getByLabel("Prompts per evaluation").fill("16");
    await proceed(page, "budget");
    await proceed(page, "review");
    await expect(page.getByText("Ready to start")).toBeVisible(SLOW);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await expect(page).toHaveURL(/\/runs\/vlm_/, SLOW);
    await expect(page.getByText("finished", { exact: true })).toBeVisible(SLOW);
  });

  await test.step("accuracy stands beside its controls and the teacher's", async () => {
    for (const label of [
      "Shown another picture",
      "Shown a blank picture",
      "The teacher is right",
    ]) {
      const figure = page.locator(".label", { hasText: label }).locator("xpath=..");
      await expect(figure).toContainText(/\d+\.\d\s*%/);
      report(((await figure.textContent()) ?? "").trim());
    }
    await expect(page.getByRole("table", { name: "Task accuracy: Blank picture" })).toBeAttached();
    await expectAccessible(page);
  });

  await test.step("rollouts stand beside what they are about", async () => {
    await page.getByRole("link", { name: "Rollouts", exact: true }).click();
    await expectShown(page, "Picture 1");
    await expectAccessible(page);
  });

  await test.step("pictures are picked, pasted, dropped and taken out again", async () => {
    await page.getByRole("link", { name: "Playground" }).click();
    const tray = page.getByRole("list", { name: "Pictures of the question" });
    await page
      .getByLabel("Pictures to add")
      .setInputFiles([picture(PICTURES[0]), join(SQUARES, "README.md")]);
    await expect(page.getByRole("alert")).toContainText("README.md is no PNG");
    await give(page, PICTURES[1], "paste");
    await expect(tray.getByRole("listitem")).toHaveCount(2);
    await give(page, PICTURES[2], "drop");
    await expect(tray.getByRole("listitem")).toHaveCount(3);
    await expectAccessible(page);
    await page.getByRole("button", { name: `Take ${PICTURES[0]} out` }).press("Enter");
    await expect(tray.getByRole("listitem")).toHaveCount(2);
  });

  await test.step("models say how much of what they read was pictures", async () => {
    await page.getByRole("textbox", { name: "Prompt" }).fill("How wide is it?");
    await page.getByRole("button", { name: "Send", exact: true }).click(SLOW);
    await expect(page.getByText(/It read \d+ tokens, \d+ of them pictures/)).toHaveCount(3, SLOW);
    await expect(page.getByText("graded by the teacher")).toBeVisible(SLOW);
  });

  await test.step("a line of a set is asked with its words and its picture", async () => {
    await page.getByRole("button", { name: "From a set" }).click();
    const dialog = page.getByRole("dialog", { name: "Use a prompt from a set" });
    await dialog.getByRole("combobox", { name: "Set" }).click();
    await page.getByRole("option", { name: "squares/train" }).click();
    await dialog.getByRole("listitem").nth(2).getByRole("button").click();
    await expect(page.getByRole("textbox", { name: "Prompt" })).not.toHaveValue("How wide is it?");
    await expectShown(page, "line 3, picture 1");
    await page.getByRole("button", { name: "Send", exact: true }).click(SLOW);
    const second = page.getByRole("region", { name: "Question 2" });
    await expect(second.getByText(/It read \d+ tokens, \d+ of them pictures/)).toHaveCount(3, SLOW);
  });
});
