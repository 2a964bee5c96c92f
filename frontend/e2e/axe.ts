import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "@playwright/test";
import type { AxeResults } from "axe-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe calls serious or critical on the page as it is. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // As an expression, not as a script element, which the page's own policy forbids.
  await page.evaluate(`${AXE};undefined`);
  const { violations } = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] })",
  )) as AxeResults;
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id} ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`),
    );
}
