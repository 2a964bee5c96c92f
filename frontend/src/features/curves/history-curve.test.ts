import { expect, test } from "vitest";
import type { EventOf, MetricHistory } from "@/api/types";
import { withTail, xOf, zoomTo } from "@/features/curves/history-curve";

const history: MetricHistory = {
  key: "divergence",
  unit: "nats/token",
  bucket: 2,
  num_points: 4,
  step: [2, 4],
  time: [110, 120],
  tokens: [100, 200],
  minimum: [1, 0.5],
  maximum: [3, 1.5],
  mean: [2, 1],
  low: [],
  high: [],
};

function finished(step: number, metrics: Record<string, number>): EventOf<"step_finished"> {
  return { kind: "step_finished", seq: step, time: 100 + step * 5, step, metrics };
}

test("steps that came by stream stand behind the fetched ones, each once", () => {
  const joined = withTail(history, [
    finished(4, { divergence: 9, num_tokens: 50 }),
    finished(5, { divergence: 0.8, num_tokens: 40 }),
  ]);
  expect(joined.step).toEqual([2, 4, 5]);
  expect(joined.mean).toEqual([2, 1, 0.8]);
  expect(joined.tokens).toEqual([100, 200, 240]);
});

test("a step without the metric adds nothing", () => {
  expect(withTail(history, [finished(5, { loss: 1 })])).toBe(history);
});

test("the axis is steps, seconds since the start, or tokens", () => {
  expect(xOf(history, "step", 100)).toEqual([2, 4]);
  expect(xOf(history, "time", 100)).toEqual([10, 20]);
  expect(xOf(history, "tokens", 100)).toEqual([100, 200]);
});

test("a zoom in tokens asks the server for the steps around it", () => {
  expect(zoomTo(history, "tokens", 0, [150, 200])).toEqual({ x: [150, 200], steps: [2, 4] });
  expect(zoomTo(history, "step", 0, [2.4, 3.1])).toEqual({ x: [2.4, 3.1], steps: [2, 4] });
});
