import { expect, test } from "vitest";
import type { Checkpoint, MetricHistory } from "@/api/types";
import { pictureOf, placeOf } from "@/features/run/checkpoint-curve";

const HISTORY = {
  step: [0, 10, 20],
  mean: [2, 1, 1.5],
  low: [],
  high: [],
} as unknown as MetricHistory;

function checkpoint(step: number, metrics: Record<string, number>): Checkpoint {
  return { step, metrics } as unknown as Checkpoint;
}

test("a checkpoint stands on the curve where it was evaluated, else on the axis", () => {
  const picture = pictureOf(HISTORY, 40);
  if (!picture) {
    throw new Error("There are evaluations.");
  }
  expect(placeOf(checkpoint(20, { kl: 1.5 }), "kl", picture)).toEqual({ x: 0.5, y: 0.5 });
  expect(placeOf(checkpoint(40, {}), "kl", picture)).toEqual({ x: 1, y: 0 });
});

test("the axis holds the intervals, and a single evaluation stands in the middle", () => {
  const sure = { ...HISTORY, low: [1.8, 0.8, 1.2], high: [2.4, 1.2, 1.8] };
  expect([pictureOf(sure, 20)?.low, pictureOf(sure, 20)?.high]).toEqual([0.8, 2.4]);
  const once = { ...HISTORY, step: [0], mean: [2] };
  expect(pictureOf(once, 0)?.place(0, 2)).toEqual({ x: 0.5, y: 0.5 });
  expect(pictureOf({ ...HISTORY, step: [], mean: [] }, 0)).toBeNull();
});
