import { expect, test } from "vitest";
import type { MetricHistory, MetricSummary } from "@/api/types";
import { summaryAt } from "@/features/run/best-figures";

const SUMMARY: MetricSummary = {
  first: 2,
  last: 1.5,
  minimum: 1,
  maximum: 2,
  first_interval: null,
  last_interval: { low: 1.4, high: 1.6 },
};

const HISTORY: MetricHistory = {
  key: "eval_reverse_kl",
  unit: "nats/token",
  bucket: 1,
  num_points: 2,
  step: [10, 20],
  time: [1, 2],
  tokens: [1, 2],
  minimum: [1, 1.5],
  maximum: [1, 1.5],
  mean: [1, 1.5],
  low: [0.9, 1.4],
  high: [1.1, 1.6],
};

test("what is headlined is the checkpoint that is exported, with its own interval", () => {
  const best = summaryAt(SUMMARY, HISTORY, 10);
  expect([best.first, best.last, best.last_interval]).toEqual([2, 1, { low: 0.9, high: 1.1 }]);
  expect(summaryAt(SUMMARY, { ...HISTORY, low: [], high: [] }, 10).last_interval).toBeNull();
});

test("figures stay as they are where that step was not measured alone", () => {
  expect(summaryAt(SUMMARY, HISTORY, 15)).toBe(SUMMARY);
  expect(summaryAt(SUMMARY, null, 10)).toBe(SUMMARY);
  expect(summaryAt(SUMMARY, { ...HISTORY, bucket: 2 }, 10)).toBe(SUMMARY);
});
