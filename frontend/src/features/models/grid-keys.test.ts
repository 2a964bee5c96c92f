import { expect, test } from "vitest";
import { nextInGrid } from "@/features/models/grid-keys";

const go = (key: string, at: number) => nextInGrid(key, at, 10, 3, 2);

test("arrows move by one or by a row, and stay where there is nothing", () => {
  expect(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].map((key) => go(key, 4))).toEqual([
    3, 5, 1, 7,
  ]);
  expect(go("ArrowUp", 1)).toBe(1);
  expect(go("ArrowDown", 8)).toBe(8);
  expect(go("ArrowLeft", 0)).toBe(0);
  expect(go("ArrowRight", 9)).toBe(9);
});

test("pages and ends are reached, and other keys do nothing", () => {
  expect(["PageDown", "PageUp", "Home", "End"].map((key) => go(key, 4))).toEqual([9, 0, 0, 9]);
  expect(go("a", 4)).toBeNull();
  expect(nextInGrid("End", 0, 0, 3, 2)).toBeNull();
});
