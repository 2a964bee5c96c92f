import type { Page } from "@playwright/test";
import { seriousFindings } from "./axe";
import { pagesOf } from "./pages";
import { createRun, expect, report, test, untilState } from "./stage";

const SMALL = { width: 1024, height: 700 };
const USUAL = { width: 1440, height: 900 };
const SHORT = { num_steps: 4, eval_every: 4, checkpoint_every: 4 };

/** What stands beyond the right edge of the page, and in no list of its own that scrolls to it. */
function cutOff(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const main = document.querySelector("main");
    const scrolls = (element: Element): boolean => {
      const above = element.parentElement;
      // The page itself scrolls down only: what it hides to the right is what is looked for.
      return (
        above !== null &&
        above !== main &&
        (/auto|scroll|hidden|clip/.test(getComputedStyle(above).overflowX) || scrolls(above))
      );
    };
    return [...(main?.querySelectorAll("*") ?? [])]
      .filter((element) => {
        const { right, width } = element.getBoundingClientRect();
        return width > 0 && right > innerWidth + 1 && !scrolls(element);
      })
      .map((element) => element.outerHTML.slice(0, 120));
  });
}

test("every page fits a small window, and axe finds nothing serious in either theme", async ({
  page,
  backend,
}) => {
  const first = await createRun(backend, SHORT);
  const second = await createRun(backend, { ...SHORT, learning_rate: 0.001 }, false);
  await untilState(backend, first.run_id, "finished");
  const found: string[] = [];
  for (const { name, path, ready } of pagesOf({
    first: first.run_id,
    second: second.run_id,
  })) {
    await test.step(name, async () => {
      await page.goto(path);
      await expect(page.getByRole("main").getByText(ready).first()).toBeVisible();
      await expect(page.getByRole("status", { name: "Loading" })).toHaveCount(0);
      await page.setViewportSize(SMALL);
      const beyond = await page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll("main")].map(
          ({ scrollWidth, clientWidth }) => scrollWidth - clientWidth,
        ),
      );
      expect(Math.max(...beyond), `${name} fits a small window`).toBeLessThanOrEqual(0);
      expect(await cutOff(page), `${name} cuts nothing off`).toEqual([]);
      await page.setViewportSize(USUAL);
      for (const theme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme: theme });
        for (const line of await seriousFindings(page)) {
          found.push(`${name}, ${theme}: ${line}`);
          report(`${name}, ${theme}: ${line}`);
        }
      }
    });
  }
  report(`${found.length} serious or critical findings`);
  expect(found).toEqual([]);
});
