import { expect, test } from "vitest";
import { answerText, besideOf, howAnswered } from "@/features/run/before-after";

test("an answer is shown without its thought and without the sign of its end", () => {
  expect(answerText("2031-03-04 12:00<|im_end|>")).toBe("2031-03-04 12:00");
  expect(answerText("<think>\nfive high.\n</think>\n\n\\boxed{5}")).toBe("… \\boxed{5}");
});

test("answers stand beside the teacher's, or else beside those of the file", () => {
  const one = { text: "12:00", mark: 1 };
  const row = { index: 0, prompt: "noon", before: one, after: one, teacher: null, wanted: null };
  expect(besideOf([row])).toBeNull();
  expect(besideOf([row, { ...row, wanted: "12:00" }])).toBe("In the file");
  expect(besideOf([{ ...row, wanted: "12:00", teacher: one }])).toBe("Teacher");
});

test("where other words may be right too, it is said what a tick means", () => {
  const given = { index: 0, prompt: "noon", wanted: "12:00", teacher: null };
  const before = { text: "?", mark: null };
  const of = (mark: number | null) =>
    howAnswered({
      is_greedy: true,
      after_step: null,
      adapter_bytes: null,
      rows: [{ ...given, before, after: { text: "12:00", mark } }],
    });
  expect(of(null)).toContain("ticked where it is the file's, word for word");
  expect(of(0)).not.toContain("ticked");
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
