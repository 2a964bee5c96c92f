import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import type { RolloutRecord } from "@/api/types";
import { RolloutGroup } from "@/features/run/rollouts";

const SCORED: RolloutRecord = {
  step: 5,
  index: 0,
  source: "student",
  prompt: "half past two",
  prompt_index: 3,
  completion: "ab",
  finish_reason: "stop",
  token_ids: [1, 2],
  token_texts: ["a", "b"],
  student_logprobs: [-1, -2],
  teacher_logprobs: [-3, -4],
  divergence: [0.125, 0.375],
  student_top: [],
  teacher_top: [],
};
const GRADED: RolloutRecord = { ...SCORED, teacher_logprobs: null, divergence: null };

/** What can be read of a group. */
function textOf(...group: RolloutRecord[]): string {
  const html = renderToStaticMarkup(createElement(RolloutGroup, { runId: "vlm_1", group }));
  return html.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
}

test("a prompt that a step completed twice stands once over both completions", () => {
  const text = textOf(SCORED, { ...SCORED, index: 1, divergence: [0, 0], finish_reason: "length" });
  expect(text.match(/half past two/g)).toHaveLength(1);
  expect(text).toContain("Step 5 · 2 completions of one prompt");
  expect(text).toContain("Completion 1 · 2 tokens · 0.25 nats/token");
  expect(text).toContain("Completion 2 · 2 tokens · 0 nats/token truncated");
});

test("a graded completion shows its reward and how it compares with the prompt's others", () => {
  const text = textOf(
    { ...GRADED, reward: 1, advantage: 1.25 },
    { ...GRADED, index: 1, reward: 0, advantage: -1.25 },
  );
  expect(text).toContain("Completion 1 · 2 tokens · reward 1 · advantage +1.25");
  expect(text).toContain("Completion 2 · 2 tokens · reward 0 · advantage −1.25");
});

test("a completion that no teacher scored shows what there is and nothing of a teacher", () => {
  expect(textOf(SCORED)).toMatch(/Step 5 · 2 tokens · 0.25 nats.*Divergence.*Teacher’s top five/);
  const text = textOf(GRADED);
  expect(text).toContain("Step 5 · 2 tokens half past two");
  expect(text).toContain("Student’s top five");
  expect(text).not.toMatch(/nats|Divergence|teacher|NaN/i);
});

test("a prompt with pictures shows each as a chip where it stands, and large beside the tokens", () => {
  const group = [{ ...SCORED, prompt: "How wide is <image>?", pictures: ["0f".repeat(16)] }];
  const html = renderToStaticMarkup(createElement(RolloutGroup, { runId: "vlm_1", group }));
  const address = `/api/runs/vlm_1/pictures/${"0f".repeat(16)}`;
  expect(html.match(new RegExp(`src="${address}"`, "g"))).toHaveLength(2);
  expect(html).toMatch(/How wide is <button[^>]*aria-label="Show Picture 1".*<\/button>\?/);
  expect(html).not.toContain("&lt;image&gt;");
});
