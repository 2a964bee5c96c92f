import { expect, test } from "vitest";
import { answerText, howAnswered } from "@/features/run/before-after";

test("an answer is shown without its thought and without the sign of its end", () => {
  expect(answerText("2031-03-04 12:00<|im_end|>")).toBe("2031-03-04 12:00");
  expect(answerText("<think>\nfive high.\n</think>\n\n\\boxed{5}")).toBe("… \\boxed{5}");
});

test("it is said how answers came about and that none was chosen", () => {
  const row = { index: 0, prompt: "", wanted: null, teacher: null };
  const written = { text: "", mark: null };
  const rows = [{ ...row, before: written, after: written }];
  const found = { is_greedy: false, after_step: 20, rows, adapter_bytes: null };
  expect(howAnswered(found)).toBe(
    "The first prompt that the evaluation drew, not chosen; answers sampled at temperature 1; after is step 20, what Export takes.",
  );
});
