import { execFileSync } from "node:child_process";
import type { Page } from "@playwright/test";
import { seriousFindings } from "./axe";
import { createRun, expect, report, SLOW, test, untilState } from "./stage";

const QUESTION = "Write this as an ISO date: the third of March 1998";

async function expectAccessible(page: Page): Promise<void> {
  expect(await seriousFindings(page)).toEqual([]);
}

async function ask(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Send", exact: true }).click();
}

/** What a button of a name copies. */
async function copied(page: Page, name: string): Promise<string> {
  await page.getByRole("button", { name, exact: true }).click();
  return page.evaluate(() => navigator.clipboard.readText());
}

/** How a command is answered; what it fetches goes nowhere. */
function statusOf(command: string): string {
  return typed(`cd "$(mktemp -d)" && ${command} -w '%{stderr}%{http_code}' 2>&1 >/dev/null`);
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
    await expect(page.getByRole("button", { name: "Ask again" })).toBeVisible(SLOW);
    const first = page.getByRole("region", { name: "Question 1" });
    await expect(first).toContainText(QUESTION);
    await expect(first.getByText(/^\d+ tokens?$/)).toHaveCount(3);
    await expect(first.getByText(/tok\/s$/)).toHaveCount(3);
    // The message was sent, and the field is free for the next one.
    await expect(page.getByLabel("Prompt", { exact: true })).toBeEmpty();
    expect(await tokens.getByRole("option").count()).toBeGreaterThan(1);
    await expect(tokens).not.toContainText("∅");
    await expect(tokens).not.toContainText("\ufffd");
  });

  await test.step("the conversation goes on with the answer that is chosen", async () => {
    await page.getByText("System prompt", { exact: true }).click();
    await page.getByLabel("System prompt").fill("Dates, nothing else.");
    const goOn = page.getByRole("button", { name: "Continue with this answer" }).first();
    await goOn.click();
    await expect(goOn).toHaveAttribute("aria-pressed", "true");
    await expect(page.getByText("Read after the base model’s answer")).toBeVisible();
    await page.getByLabel("Prompt", { exact: true }).fill("And the day after?");
    await expectAccessible(page);
    const asked = page.waitForRequest(/\/playground\/ask$/);
    await page.getByLabel("Prompt", { exact: true }).press("Enter");
    const { messages } = (await asked).postDataJSON() as { messages: { role: string }[] };
    expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
    const second = page.getByRole("region", { name: "Question 2" });
    await expect(second.getByRole("button", { name: "Ask again" })).toBeVisible(SLOW);
    await expect(page.getByRole("region", { name: "Question 1" })).toContainText(QUESTION);
  });

  await test.step("a question is asked again with another seed, and edited", async () => {
    await page.getByLabel("Temperature").fill("0.8");
    const seed = page.getByLabel("Seed", { exact: true });
    await page.getByRole("button", { name: "Ask again" }).click();
    await expect(seed).not.toHaveValue("7");
    await expect(page.getByRole("button", { name: "Ask again" })).toBeVisible(SLOW);
    await expect(page.getByRole("region", { name: "Question 3" })).toHaveCount(0);
    await page
      .getByRole("region", { name: "Question 1" })
      .getByRole("button", { name: "Edit" })
      .click();
    await expect(page.getByLabel("Prompt", { exact: true })).toHaveValue(QUESTION);
  });

  await test.step("a question is kept as a line of a set", async () => {
    await page.getByRole("button", { name: "Keep as a prompt" }).last().click();
    await page.getByLabel("Name of the new set").fill("Hard ones");
    await page.getByLabel("Right answer").fill("1998-03-04");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByText("Kept in Hard ones.jsonl.")).toBeVisible();
  });

  await test.step("two answers without names ask which is the teacher's, and guesses are counted", async () => {
    await page.getByRole("switch", { name: "Blind vote" }).click();
    await ask(page);
    const blind = page.getByRole("region", { name: "Question 3" });
    await expect(blind.getByRole("heading", { name: "Answer A" })).toBeVisible();
    const choices = blind.getByRole("button", { name: "This is the teacher" });
    await expect(choices).toHaveCount(2, SLOW);
    await expect(blind.getByText(/Teacher|tiny-/)).toHaveCount(0);
    await expect(blind.getByText("graded by the teacher")).toHaveCount(0);
    // The keyboard is there already, and a number votes.
    await expect(choices.first()).toBeFocused();
    await expectAccessible(page);
    await page.keyboard.press("2");
    await expect(blind.getByText(/That is the (teacher|student)’s answer/)).toBeVisible();
    await expect(blind.getByRole("heading", { name: "Teacher tiny-teacher" })).toBeVisible();
    await expect(page.getByText(/The teacher was found [01] of 1 times/)).toBeVisible();
    await page.getByRole("button", { name: "New chat" }).click();
    await expect(page.getByRole("region", { name: /^Question/ })).toHaveCount(0);
    await expect(page.getByRole("region", { name: "Prompts of this run" })).toBeVisible();
  });

  await test.step("commands of the API page work as they are copied", async () => {
    await page.goto(`${backend.url}/settings`);
    const examples = page.getByRole("list", { name: "Examples" });
    await expect(examples.getByRole("listitem").first()).toContainText("curl");
    // The token is copied, and not shown.
    await expect(examples).toContainText("••••••");
    await page.getByRole("combobox", { name: "Model" }).click();
    await page.getByRole("option", { name: 'it\'s "my" dates', exact: true }).click();
    const outputs = new Map<string, string>();
    for (const title of [
      "Chat with a student",
      "Continue a text",
      "List what can be asked",
      "List runs",
    ]) {
      await page.getByRole("button", { name: `Copy: ${title}`, exact: true }).click();
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
    const chat = await copied(page, "Copy: the command of POST /v1/chat/completions");
    expect(JSON.parse(typed(chat)).choices[0].message.role).toBe("assistant");
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
    await test.step("without its file nothing is said of it any more", async () => {
      const items = page.getByLabel("Labelled items", { exact: true });
      const file = await items.inputValue();
      await expect(page.getByText("No problems found")).toBeVisible();
      await items.fill("");
      await expect(page.getByText("No problems found")).toHaveCount(0);
      await items.fill(file);
    });
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

  await test.step("the command of every route that only reads works as it is copied", async () => {
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(`${backend.url}/settings`);
    await page.getByRole("button", { name: "Unfold all" }).click();
    const routes = page.getByRole("button", { name: /^GET \/(v1|api)\// });
    const answered: string[] = [];
    const refused: string[] = [];
    for (const route of await routes.all()) {
      await route.click();
      const copy = page.getByRole("button", { name: /^Copy: the command of GET/ });
      await expect(copy).toHaveCount(1);
      if ((await page.getByText("As a command; fill in").count()) === 0) {
        const name = (await copy.getAttribute("aria-label")) ?? "";
        const status = statusOf(await copied(page, name));
        (status.startsWith("2") ? answered : refused).push(`${status} ${name}`);
      }
      await route.click();
    }
    report(`${answered.length} commands that read were answered`);
    // Where the hub is out of reach, that is its answer.
    expect(refused.filter((each) => !each.includes("/api/hub/search"))).toEqual([]);
    expect(answered.length).toBeGreaterThan(40);
  });
});
