import { execFileSync } from "node:child_process";
import type { Page } from "@playwright/test";
import { seriousFindings } from "./axe";
import { createRun, expect, SLOW, test, untilState } from "./stage";

const QUESTION = "Write this as an ISO date: the third of March 1998";

async function expectAccessible(page: Page): Promise<void> {
  expect(await seriousFindings(page)).toEqual([]);
}

async function ask(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Send", exact: true }).click();
}

/** A command from the page in a real shell, as it was copied. */
function typed(command: string): string {
  return execFileSync("bash", ["-c", command], { encoding: "utf8", timeout: 300_000 });
}

test("a student is talked to on the page and by any program", async ({
  page,
  context,
  backend,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: backend.url });
  const run = await createRun(backend, { run_name: 'it\'s "my" dates', num_steps: 6 });
  await untilState(backend, run.run_id, "finished");

  await test.step("nothing can be typed into a form that another one replaces", async () => {
    let release = () => {};
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const list = /\/api\/runs\?/;
    await page.route(list, async (route) => {
      await isReleased;
      await route.continue();
    });
    await page.goto(`${backend.url}/playground`);
    await expect(page.getByRole("heading", { name: "Playground" })).toBeVisible();
    await expect(page.getByLabel("Prompt", { exact: true })).toHaveCount(0);
    release();
    await page.getByLabel("Prompt", { exact: true }).fill(QUESTION);
    await expect(page.getByRole("button", { name: "Send", exact: true })).toBeEnabled();
    await page.unroute(list);
  });

  await test.step("a prompt of the run's own files is asked, and every token has its text", async () => {
    await page.goto(`${backend.url}/playground?run=${run.run_id}`);
    const samples = page.getByRole("region", { name: "Prompts of this run" });
    await samples.getByRole("listitem").first().getByRole("button").click();
    await expect(page.getByLabel("Prompt", { exact: true })).not.toBeEmpty();
    await page.getByLabel("Prompt", { exact: true }).fill(QUESTION);
    await page.getByLabel("Max tokens").fill("24");
    await page.getByLabel("Seed", { exact: true }).fill("7");
    await ask(page);
    const tokens = page.getByRole("listbox", { name: "Tokens of the completion" });
    await expect(tokens).toBeVisible(SLOW);
    await expect(page.getByRole("button", { name: "Send", exact: true })).toBeEnabled(SLOW);
    expect(await tokens.getByRole("option").count()).toBeGreaterThan(1);
    await expect(tokens).not.toContainText("∅");
    await expect(tokens).not.toContainText("\ufffd");
  });

  await test.step("the conversation goes on with the answer that is chosen", async () => {
    await page.getByText("System prompt", { exact: true }).click();
    await page.getByLabel("System prompt").fill("Dates, nothing else.");
    await page.getByRole("button", { name: "Continue with this answer" }).first().click();
    const said = page.getByRole("region", { name: "The conversation so far" });
    await expect(said).toContainText(QUESTION);
    await page.getByLabel("Prompt", { exact: true }).fill("And the day after?");
    await expectAccessible(page);
  });

  await test.step("a question is kept as a line of a set", async () => {
    await page.getByRole("button", { name: "Keep as a prompt" }).click();
    await page.getByLabel("Name of the new set").fill("Hard ones");
    await page.getByLabel("Right answer").fill("1998-03-04");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByText("Kept in Hard ones.jsonl.")).toBeVisible();
  });

  await test.step("two answers without names ask which is the teacher's, and guesses are counted", async () => {
    await page.getByRole("switch", { name: "Blind vote" }).click();
    await ask(page);
    await expect(page.getByRole("heading", { name: "Answer A" })).toBeVisible();
    await expect(page.getByRole("heading", { name: "Teacher" })).toHaveCount(0);
    await page.getByRole("button", { name: "This is the teacher" }).first().click(SLOW);
    await expect(page.getByText(/that is the (teacher|student)’s answer/)).toBeVisible();
    await expect(page.getByText(/The teacher was found [01] of 1 times/)).toBeVisible();
  });

  await test.step("commands of the API page work as they are copied", async () => {
    await page.goto(`${backend.url}/settings`);
    const examples = page.getByRole("list", { name: "Examples" });
    await expect(examples.getByRole("listitem").first()).toContainText("curl");
    // The token is copied, and not shown.
    await expect(examples).toContainText("••••••");
    const outputs = new Map<string, string>();
    for (const title of [
      "Chat with a student",
      "Continue a text",
      "List what can be asked",
      "List runs",
    ]) {
      await page.getByRole("button", { name: `Copy: ${title}` }).click();
      const command = await page.evaluate(() => navigator.clipboard.readText());
      outputs.set(title, typed(command));
    }
    const chat = outputs.get("Chat with a student") ?? "";
    expect(chat).toContain('"object":"chat.completion.chunk"');
    expect(chat.trim().endsWith("data: [DONE]")).toBe(true);
    expect(
      JSON.parse(outputs.get("Continue a text") ?? "").usage.completion_tokens,
    ).toBeGreaterThan(0);
    expect(outputs.get("List what can be asked")).toContain(run.run_id);
    expect(JSON.parse(outputs.get("List runs") ?? "").total).toBe(1);
  });

  await test.step("a replaced token opens nothing any more", async () => {
    await page.getByRole("button", { name: "Copy: List runs" }).click();
    const before = await page.evaluate(() => navigator.clipboard.readText());
    await page.getByRole("button", { name: "Replace" }).first().click();
    await page.getByRole("button", { name: "Replace it" }).click();
    await expect(page.getByText("There is a new read token.")).toBeVisible();
    expect(JSON.parse(typed(before)).code).toBe("no_token");
    await page.getByRole("button", { name: "Copy: List runs" }).click();
    const after = await page.evaluate(() => navigator.clipboard.readText());
    expect(JSON.parse(typed(after)).total).toBe(1);
  });

  await test.step("every route is described on the page itself", async () => {
    await page.getByLabel("Search the API").fill("/v1/chat");
    await page.getByRole("button", { name: /POST \/v1\/chat\/completions/ }).click();
    const section = page.getByRole("region", { name: "models for other programs" });
    await expect(section).toContainText("messages");
    await expect(section).toContainText("max_completion_tokens");
    await expect(section).toContainText("required");
    await expectAccessible(page);
  });

  await test.step("an evaluation is filled in from the run and fits a small window", async () => {
    await page.setViewportSize({ width: 1024, height: 700 });
    await page.goto(`${backend.url}/evaluate?form=true&student=${run.run_id}`);
    await expect(page.getByLabel("Model", { exact: true })).toHaveValue("tiny-student");
    await expect(page.getByLabel("Labelled items", { exact: true })).toHaveValue(
      /validation\.jsonl$/,
    );
    await expect(page.getByLabel("Adapter", { exact: true })).toHaveValue(/checkpoints/);
    const wide = await page.evaluate(() => {
      const main = document.getElementById("main");
      return (main?.scrollWidth ?? 0) - (main?.clientWidth ?? 0);
    });
    expect(wide).toBe(0);
    await page.getByRole("combobox", { name: "Grading" }).click();
    await page.getByRole("option", { name: "Exact" }).click();
    await page.getByRole("switch", { name: /Every checkpoint/ }).click();
    await page.getByLabel("Items at most").fill("8");
    await page.getByLabel("Longest answer").fill("16");
    await page.getByRole("button", { name: "Start the evaluation" }).click();
    await expect(
      page.getByRole("heading", { name: /Variants on 8 items: free answers, graded by exact/ }),
    ).toBeVisible(SLOW);
    await expect(
      page.getByRole("heading", { name: "Accuracy over the checkpoints" }),
    ).toBeVisible();
    await expect(page.getByRole("heading", { name: /^Confusions/ })).toHaveCount(0);
    await expectAccessible(page);
  });
});
