import { expect, test } from "vitest";
import { wilsonInterval } from "@/features/run/interval";

test("Wilson's interval is the published one", () => {
  // R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, and 0 of 20.
  const some = wilsonInterval(81 / 263, 263);
  expect(some?.low).toBeCloseTo(0.2553, 4);
  expect(some?.high).toBeCloseTo(0.3662, 4);
  const none = wilsonInterval(0, 20);
  expect(none?.low).toBe(0);
  expect(none?.high).toBeCloseTo(0.1611, 4);
});

test("nothing graded has no interval", () => {
  expect(wilsonInterval(0, 0)).toBeNull();
  expect(wilsonInterval(0.5, Number.NaN)).toBeNull();
});
