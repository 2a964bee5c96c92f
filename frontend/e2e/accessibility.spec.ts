import { seriousFindings } from "./axe";
import { pagesOf } from "./pages";
import { createRun, expect, report, test, untilState } from "./stage";

const SHORT = { num_steps: 4, eval_every: 4, checkpoint_every: 4 };

test("axe finds nothing serious on any page in either theme", async ({ page, backend }) => {
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
