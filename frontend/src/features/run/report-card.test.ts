import { expect, test } from "vitest";
import type { MetricSummary, RunSummary } from "@/api/types";
import { accuracyNote, wayMoved } from "@/features/run/report-card";

const RUN = { metrics: {} } as RunSummary;

function accuracy(first: number, after: number): MetricSummary {
  const [minimum, maximum] = [Math.min(first, after), Math.max(first, after)];
  const intervals = { after_interval: null, last_interval: null, first_interval: null };
  return { first, after, last: after, minimum, maximum, ...intervals };
}

test("an accuracy that has not moved does not come from itself", () => {
  expect(accuracyNote(RUN, accuracy(0.5, 0.5))).toBe("as at the start");
  expect(accuracyNote(RUN, accuracy(0.5, 0.89))).toBe("from 50.0\u00a0%");
});

test("a distance that rose is not said to have fallen by less than nothing", () => {
  expect(wayMoved("Loss", accuracy(2, 1))).toEqual({
    label: "Loss fell by",
    value: "50.0",
    unit: "%",
  });
  expect(wayMoved("Loss", accuracy(2, 3))).toEqual({
    label: "Loss rose by",
    value: "50.0",
    unit: "%",
  });
});
