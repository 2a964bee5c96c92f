import { expect, test } from "vitest";
import { pointsText, shade, speedUp, verdictText } from "@/features/evaluate/wording";

const PAIR = {
  first: "new",
  second: "old",
  num_items: 50,
  first_accuracy: 0.9,
  second_accuracy: 0.8,
  difference: 0.1,
  interval: { low: -0.02, high: 0.2 },
  only_first: 7,
  only_second: 2,
  better: null,
};

test("no winner is named inside the interval", () => {
  expect(verdictText(PAIR)).toBe("No difference shown");
  expect(verdictText({ ...PAIR, better: "new" })).toBe("new is better");
});

test("points carry their sign, and nothing is not negative", () => {
  expect(pointsText(0.1)).toBe("+10.0");
  expect(pointsText(-0.025)).toBe("\u22122.5");
  expect(pointsText(-0.0001)).toBe("+0.0");
});

test("a cell is as deep as its share of its row", () => {
  expect(shade(3, [3, 1, 0])).toBe(75);
  expect(shade(0, [0, 0])).toBe(0);
});

test("speed is measured against the teacher's", () => {
  expect(speedUp(0.5, 10)).toBe(20);
  expect(speedUp(0.5, undefined)).toBeNull();
});
