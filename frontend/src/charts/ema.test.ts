import { expect, test } from "vitest";
import { debiasedEma } from "@/charts/ema";

test("a constant stays the constant from the first point on", () => {
  expect(debiasedEma([3, 3, 3], 0.99)).toEqual([3, 3, 3].map((x) => expect.closeTo(x, 10)));
});

test("the second value of two is their mean weighted by the past", () => {
  const [first, second] = debiasedEma([0, 1], 0.5);
  expect(first).toBe(0);
  expect(second).toBeCloseTo(0.5 / 0.75, 12);
});

test("no smoothing gives the values back", () => {
  expect(debiasedEma([1, -2, 5], 0)).toEqual([1, -2, 5]);
});

test("a gap stays a gap and does not restart the average", () => {
  const [, gap, after] = debiasedEma([1, null, 1], 0.9);
  expect(gap).toBeNull();
  expect(after).toBeCloseTo(1, 12);
});

test("a bucket of four weighs as four equal points", () => {
  const single = debiasedEma([2, 2, 2, 2, 6, 6, 6, 6], 0.8);
  const bucketed = debiasedEma([2, 6], 0.8, 4);
  expect(bucketed[1]).toBeCloseTo(single[7] ?? Number.NaN, 10);
});
