import { expect, test } from "vitest";
import { tintOf, tokensOf, visibleText } from "@/features/run/tokens";

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
    step: 1,
    index: 0,
    source: "student",
    prompt: "",
    completion: "ab",
    finish_reason: "stop",
    token_ids: [1, 2],
    token_texts: ["a", "b"],
    student_logprobs: [-1, -2],
    teacher_logprobs: [-3, -4],
    divergence: [0.1, 0.2],
    student_top: [],
    teacher_top: [],
  });
  expect(first?.teacherLogprob).toBe(-3);
  expect(second).toMatchObject({ text: "b", divergence: 0.2, studentTop: [] });
});
