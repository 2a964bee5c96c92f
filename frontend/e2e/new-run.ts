/** What stories do on the pages of a new run. */
import { execFileSync } from "node:child_process";
import type { Page } from "@playwright/test";
import { type Backend, PYTHON } from "./backend";
import { expect, SLOW, untilState } from "./stage";

export async function chooseMethod(page: Page, name: RegExp): Promise<void> {
  await page.getByRole("navigation", { name: "Pages" }).getByText("New run").click();
  // Home has buttons of these names too, and is shown until the next page is there.
  const choices = page.getByRole("group", { name: /should the student learn from|to start from/ });
  const choice = choices.getByRole("button", { name });
  await choice.click();
  await expect(choice).toHaveAttribute("aria-pressed", "true");
}

export async function drop(page: Page, what: string, file: string): Promise<void> {
  await page.getByLabel(`Drop the ${what} here`, { exact: true }).setInputFiles(file);
}

/** Fills boxes by their names, opening what is folded away. */
export async function fill(page: Page, values: Record<string, string>): Promise<void> {
  for (const summary of await page.getByText(/^Advanced/).all()) {
    await summary.click();
  }
  for (const [name, value] of Object.entries(values)) {
    await page.getByLabel(name).first().fill(value);
  }
}

/** Runs what the page offers to copy as a command, as far as a check goes. */
export function checkCommand(command: string, workspace: string): string {
  const check = command.replace(/^opd train/, `"${PYTHON}" -m OnPolicyDistill check`);
  return execFileSync("sh", ["-c", `${check} --workspace "${workspace}"`], {
    cwd: workspace,
    encoding: "utf8",
  });
}

export async function shownText(page: Page, label: string): Promise<string> {
  return (await page.getByRole("region", { name: label }).textContent()) ?? "";
}

/** Starts the planned run and sees it to its end. */
export async function startAndFinish(page: Page, backend: Backend, prefix: string): Promise<void> {
  await expect(page.getByText("Ready to start")).toBeVisible(SLOW);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/runs/${prefix}_`), SLOW);
  const runId = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await untilState(backend, runId, "finished");
  await expect(page.getByText("finished", { exact: true })).toBeVisible(SLOW);
}
