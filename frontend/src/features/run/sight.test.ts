import { expect, test } from "vitest";
import { lookingOf } from "@/features/run/sight";

function between(low: number, high: number) {
  return { after_interval: { low, high } };
}

test("a student looks where its accuracy lies above both controls beyond chance", () => {
  expect(lookingOf(between(0.7, 0.9), between(0.1, 0.3), between(0.05, 0.2))).toBe("looks");
  expect(lookingOf(between(0.3, 0.5), between(0.1, 0.3), between(0, 0.1))).toBe("unsure");
  expect(lookingOf(between(0.7, 0.9), between(0.1, 0.3), between(0.5, 0.75))).toBe("unsure");
});

test("without both controls and their intervals nothing is said about looking", () => {
  expect(lookingOf(between(0.7, 0.9))).toBeNull();
  expect(lookingOf(between(0.7, 0.9), between(0, 0.1), undefined)).toBeNull();
  expect(lookingOf(undefined, between(0, 0.1), between(0, 0.1))).toBeNull();
  expect(lookingOf({ after_interval: null }, between(0, 0.1), between(0, 0.1))).toBeNull();
});
