import { expect, test } from "vitest";
import type { RolloutRecord } from "@/api/types";
import {
  divergenceText,
  groupsOf,
  meanDivergence,
  tintOf,
  tokensOf,
  visibleText,
} from "@/features/run/tokens";

/** A completion that was graded by code, so that no teacher said anything of it. */
const UNSCORED: RolloutRecord = {
  step: 1,
  index: 0,
  source: "student",
  prompt: "p",
  prompt_index: 3,
  completion: "ab",
  finish_reason: "stop",
  token_ids: [1, 2],
  token_texts: ["a", "b"],
  student_logprobs: [-1, -2],
  teacher_logprobs: null,
  divergence: null,
  student_top: [],
  teacher_top: [],
};

test("a tint grows with divergence and is full from two nats on", () => {
  expect(tintOf(0)).toBe(0);
  expect(tintOf(0.5)).toBeCloseTo(0.5, 12);
  expect(tintOf(2)).toBe(1);
  expect(tintOf(9)).toBe(1);
});

test("a divergence a little under zero from rounding has no tint", () => {
  expect(tintOf(-1e-7)).toBe(0);
});

test("blanks can be seen", () => {
  expect(visibleText(" ")).toBe("␣");
  expect(visibleText(" word")).toBe(" word");
  expect(visibleText("\n")).toBe("⏎\n");
  expect(visibleText("")).toBe("∅");
});

test("a record without candidates still has all of its tokens", () => {
  const [first, second] = tokensOf({
    ...UNSCORED,
    teacher_logprobs: [-3, -4],
    divergence: [0.1, 0.2],
  });
  expect(first?.teacherLogprob).toBe(-3);
  expect(second).toMatchObject({ text: "b", divergence: 0.2, studentTop: [] });
});

test("what no teacher scored has no divergence, no tint and no mean", () => {
  const [first] = tokensOf(UNSCORED);
  expect(first).toMatchObject({ divergence: null, teacherLogprob: null, studentLogprob: -1 });
  expect(tintOf(null)).toBe(0);
  expect(meanDivergence(UNSCORED)).toBeNull();
  expect(divergenceText(null)).toBe("");
});

test("a mean is over the completion's tokens", () => {
  expect(meanDivergence({ ...UNSCORED, divergence: [0.1, 0.3] })).toBeCloseTo(0.2, 12);
  expect(meanDivergence({ ...UNSCORED, divergence: [] })).toBe(0);
  expect(divergenceText(0.25)).toBe("0.25 nats/token");
});

test("completions of one prompt in one step are a group, each in its place", () => {
  const newestFirst = [
    { ...UNSCORED, step: 2, index: 1, prompt_index: 3, completion: "second" },
    { ...UNSCORED, step: 2, index: 0, prompt_index: 3, completion: "first" },
    { ...UNSCORED, step: 1, index: 0, prompt_index: 3, completion: "earlier" },
    { ...UNSCORED, step: 1, index: 1, prompt_index: 4, completion: "other" },
  ];
  expect(groupsOf(newestFirst).map((group) => group.map((one) => one.completion))).toEqual([
    ["first", "second"],
    ["earlier"],
    ["other"],
  ]);
});

test("a step that was taken again after a resume is no second completion", () => {
  const again = { ...UNSCORED, completion: "again" };
  const said = groupsOf([again, UNSCORED]).map((group) => group.map((one) => one.completion));
  expect(said).toEqual([["again"], ["ab"]]);
});

test("where a log does not number its prompts their text tells them apart", () => {
  const records = ["p", "q"].map((prompt, index) => ({
    ...UNSCORED,
    index,
    prompt,
    prompt_index: null,
  }));
  expect(groupsOf(records)).toHaveLength(2);
});
