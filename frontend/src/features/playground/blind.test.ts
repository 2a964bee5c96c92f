import { expect, test } from "vitest";
import { canGuess, drawnPlaces, tallyText } from "@/features/playground/blind";
import { EMPTY_EXCHANGE, foldPlayground } from "@/features/playground/exchange";

const finished = (role: "student" | "teacher") =>
  ({
    kind: "finished",
    role,
    text: "a",
    finish_reason: "stop",
    num_tokens: 1,
    seconds: 1,
    mean_logprob: -1,
  }) as const;

test("nobody guesses before both have answered", () => {
  const one = foldPlayground(EMPTY_EXCHANGE, finished("student"));
  expect(canGuess(one)).toBe(false);
  expect(canGuess(foldPlayground(one, finished("teacher")))).toBe(true);
});

test("either may stand on the left", () => {
  expect(drawnPlaces(0.49)).toEqual(["student", "teacher"]);
  expect(drawnPlaces(0.5)).toEqual(["teacher", "student"]);
});

test("a tally says how sure it is and claims nothing that guessing would give as well", () => {
  const tally = (num_right: number, num_votes: number, low: number, high: number) =>
    tallyText({ num_right, num_votes, interval: { low, high }, is_told_apart: low > 0.5 });
  expect(tally(2, 3, 0.208, 0.939)).toMatch(/2 of 3 times \(20.8 to 93.9 %\): no better/);
  expect(tally(11, 12, 0.646, 0.985)).toMatch(/you can tell them apart/);
  expect(tally(0, 10, 0, 0.28)).toMatch(/you take the student for the teacher/);
  expect(tallyText({ num_right: 0, num_votes: 0, interval: null, is_told_apart: false })).toBe(
    "No guesses yet.",
  );
});
