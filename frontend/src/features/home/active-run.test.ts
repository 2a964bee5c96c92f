import { expect, test } from "vitest";
import type { MetricSummary } from "@/api/types";
import { learnedBy } from "@/features/home/active-run";

const MEASURED = { first: 1, last: 0.5 } as MetricSummary;

test("a run at work shows what its own method learns by", () => {
  const label = (...keys: string[]) =>
    learnedBy({ metrics: Object.fromEntries(keys.map((key) => [key, MEASURED])) })?.label;
  expect(label("loss", "divergence")).toBe("Divergence");
  expect(label("loss", "reward")).toBe("Mean reward");
  expect(label("loss")).toBe("Loss");
  expect(label()).toBeUndefined();
});
