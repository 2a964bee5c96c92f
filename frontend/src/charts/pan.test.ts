import { expect, test } from "vitest";
import { panned } from "@/charts/pan";

test("a zoomed chart moves by a share of what it shows", () => {
  expect(panned([10, 20], 0.5, [0, 100])).toEqual([15, 25]);
  expect(panned([10, 20], -0.5, [0, 100])).toEqual([5, 15]);
});

test("it stops at both ends of the whole", () => {
  expect(panned([90, 99], 1, [0, 100])).toEqual([91, 100]);
  expect(panned([3, 13], -1, [0, 100])).toEqual([0, 10]);
});

test("a range wider than the whole stays", () => {
  expect(panned([-5, 105], 0.25, [0, 100])).toEqual([-5, 105]);
});
