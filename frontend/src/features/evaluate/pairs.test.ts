import { expect, test } from "vitest";
import type { PairComparison } from "@/api/evaluations";
import { leadsOf, pairsAbout } from "@/features/evaluate/pairs";

function pair(first: string, second: string, difference: number): PairComparison {
  const interval = { low: difference - 0.1, high: difference + 0.2, level: 0.95 };
  const accuracies = { first_accuracy: 0.5, second_accuracy: 0.5 - difference };
  const counts = { ...accuracies, only_first: 1, only_second: 2, num_items: 10 };
  return { first, second, difference, interval, ...counts, better: null };
}

test("a lead is one minus the other, whichever of them the pair names first", () => {
  const [ahead, behind, none] = leadsOf("a", [
    pair("a", "b", 0.5),
    pair("c", "a", 0.5),
    pair("b", "c", 0),
  ]);
  expect(ahead).toEqual({ over: "b", difference: 0.5, low: 0.4, high: 0.7, isShown: false });
  expect(behind).toEqual({ over: "c", difference: -0.5, low: -0.7, high: -0.4, isShown: false });
  expect(none).toBeUndefined();
});

test("of many pairs those of the chosen variant are listed, of few all", () => {
  const few = [pair("a", "b", 0), pair("a", "c", 0), pair("b", "c", 0)];
  expect(pairsAbout("c", few)).toEqual(few);
  const many = ["b", "c", "d", "e", "f", "g"].map((name) => pair("a", name, 0));
  expect(pairsAbout("c", [...many, pair("b", "c", 0)]).map(({ first }) => first)).toEqual([
    "a",
    "b",
  ]);
  expect(pairsAbout("elsewhere", many.concat(few))).toHaveLength(9);
});
