import { chooseMethod } from "./new-run";
import { expect, proceed, report, runOf, SLOW, TRAIN, test, untilState, VALIDATION } from "./stage";
import { namesInZip } from "./zip";

const NUM_STEPS = "12";

test("from an empty workspace two clicks train the embedded pair to its end", async ({
  page,
  backend,
}) => {
  await page.getByRole("button", { name: /^Try it now/ }).click();
  await expect(page.getByText("Ready to start")).toBeVisible(SLOW);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(page).toHaveURL(/\/runs\/distill_/);
  const runId = page.url().split("/").at(-1) ?? "";
  await untilState(backend, runId, "finished");
  const { step, num_steps } = await runOf(backend, runId);
  expect(step).toBe(num_steps);
  const answers = page.getByRole("table", { name: "Held-out prompts, answered before and after" });
  await expect(answers.getByRole("row")).toHaveCount(5);
  for (const next of ["Train on your own data", "Try the student", "Export it"]) {
    await expect(page.getByRole("link", { name: next })).toBeVisible();
  }
});

test("a new user distils the embedded pair with nothing but the window", async ({ page }) => {
  const started = Date.now();

  await test.step("plan the run", async () => {
    await chooseMethod(page, /demonstration/i);
    await proceed(page, "models");
    await page.getByRole("combobox", { name: "Teacher model" }).fill("tiny-teacher");
    await page.getByRole("combobox", { name: "Student model" }).fill("tiny-student");
    await expect(page.getByLabel("Mismatch")).toHaveCount(0);
    await expect(page.getByLabel("In order").first()).toBeVisible();
    await proceed(page, "data");
  });

  await test.step("choose the files; the validation file is required", async () => {
    const validation = page.getByRole("textbox", { name: "Validation prompts" });
    await validation.fill("");
    await expect(validation).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByRole("alert").filter({ hasText: /validation/i })).toBeVisible();
    await page.getByLabel("Drop the training prompts here", { exact: true }).setInputFiles(TRAIN);
    await page
      .getByLabel("Drop the validation file here", { exact: true })
      .setInputFiles(VALIDATION);
    await expect(page.getByText("No problems found")).toHaveCount(2);
    await expect(validation).toHaveAttribute("aria-invalid", "false");
    await proceed(page, "objective");
  });

  await test.step("shorten it, see the budget, start", async () => {
    await page.getByLabel("Optimizer steps").fill(NUM_STEPS);
    await page.getByLabel("Batch size").fill("8");
    await page.getByLabel("Longest completion").fill("16");
    const evaluations = page.locator("section").filter({ hasText: "Evaluations" });
    await evaluations.getByLabel("Steps between evaluations").fill("12");
    await evaluations.getByText(/^Advanced/).click();
    await evaluations.getByLabel("Prompts per evaluation").fill("8");
    await proceed(page, "budget");
    await expect(page.getByText("Fits", { exact: true })).toBeVisible();
    await proceed(page, "review");
    await expect(page.getByText("Ready to start")).toBeVisible();
    await page.getByRole("button", { name: "Start", exact: true }).click();
  });

  await test.step("watch it learn", async () => {
    await expect(page).toHaveURL(/\/runs\/distill_/);
    const divergence = page.getByRole("table", { name: "Divergence: Training" });
    await expect(divergence.getByRole("row").nth(5)).toBeAttached(SLOW);
    await expect(page.getByText("Proof of learning passed")).toBeVisible();
    await expect(page.getByText("finished", { exact: true })).toBeVisible(SLOW);
    const means = await divergence.locator("tbody td:nth-of-type(1)").allTextContents();
    report(`divergence ${means.at(0)} to ${means.at(-1)} nats a token`);
    expect(Number(means.at(-1))).toBeLessThan(0.7 * Number(means.at(0)));
  });

  await test.step("see at one glance what happened, and what to do next", async () => {
    const answers = page.getByRole("table", {
      name: "Held-out prompts, answered before and after",
    });
    await expect(answers.getByRole("row")).toHaveCount(5);
    await expect(answers.getByRole("columnheader")).toHaveText([
      "Held-out prompt",
      "Student before",
      "Student after",
      "Teacher",
    ]);
    await expect(answers.getByRole("img", { name: /^(Right|Wrong)$/ })).toHaveCount(12);
    await expect(page.getByText(/^The adapter has/)).toBeVisible();
    await page.getByRole("link", { name: "Home" }).click();
    await expect(page.getByRole("heading", { name: /^What .* learned$/ })).toBeVisible();
    await expect(answers.getByRole("row")).toHaveCount(3);
    await page.getByRole("link", { name: "Train on your own data" }).click();
    await expect(page).toHaveURL(/\/new\/data$/);
    await expect(page.getByRole("textbox", { name: "Validation prompts" })).not.toHaveValue("");
    await page.goBack();
    await page.getByRole("link", { name: "See the run" }).click();
  });

  await test.step("run it once more", async () => {
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Duplicate" }).click();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await expect(page.getByText("running", { exact: true })).toBeVisible(SLOW);
    await expect(page.getByText("finished", { exact: true })).toBeVisible(SLOW);
  });

  await test.step("find both in the history and compare them", async () => {
    await page.getByRole("link", { name: "Runs" }).click();
    await page.getByRole("searchbox", { name: "Search runs" }).fill("dates");
    const rows = page.getByRole("checkbox", { name: /^Select/ });
    await expect(rows).toHaveCount(2);
    await rows.nth(0).check();
    await rows.nth(1).check();
    await page.getByRole("main").getByRole("link", { name: "Compare" }).click();
    await expect(page.getByRole("heading", { name: "Compare" })).toBeVisible();
    await expect(
      page.getByRole("heading", { name: "Held out, of what is exported, with 95 % intervals" }),
    ).toBeVisible();
  });

  await test.step("talk to the student", async () => {
    await page.getByRole("link", { name: "Playground" }).click();
    await page.getByRole("textbox", { name: "Prompt" }).fill("the fourth of March 2031, noon");
    await page.getByRole("spinbutton", { name: "Max tokens" }).fill("24");
    await page.getByRole("button", { name: "Send" }).click(SLOW);
    await expect(page.getByText("graded by the teacher")).toBeVisible(SLOW);
  });

  await test.step("take the adapter away", async () => {
    await page.getByRole("link", { name: "Export" }).click();
    const arrival = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download the adapter as a zip" }).click();
    const download = await arrival;
    const names = namesInZip(await download.path());
    expect(names.some((name) => name.endsWith("adapters.safetensors"))).toBe(true);
  });

  report(`the whole story took ${((Date.now() - started) / 1000).toFixed(1)} s`);
});
