import { expect, test } from "vitest";
import type { VariantReport } from "@/api/evaluations";
import { checkpointPoints } from "@/features/evaluate/checkpoint-points";

function variant(name: string, accuracy: number) {
  return {
    name,
    accuracy,
    interval: { low: accuracy - 0.1, high: accuracy + 0.1 },
  } as VariantReport;
}

test("checkpoints are a trend in the order of their steps, from before learning on", () => {
  const variants = [
    variant("teacher with prompt", 0.9),
    variant("student before", 0.1),
    variant("student at step 20", 0.5),
    variant("student at step 10", 0.3),
  ];
  expect(checkpointPoints({ variants })).toEqual([
    {
      label: "Without a prompt",
      points: [
        { variant: "student before", step: 0, accuracy: 0.1, low: 0, high: 0.2 },
        {
          variant: "student at step 10",
          step: 10,
          accuracy: 0.3,
          low: expect.closeTo(0.2),
          high: 0.4,
        },
        { variant: "student at step 20", step: 20, accuracy: 0.5, low: 0.4, high: 0.6 },
      ],
    },
  ]);
});

test("before and after alone are no trend over checkpoints", () => {
  expect(
    checkpointPoints({ variants: [variant("student before", 0.1), variant("student after", 0.5)] }),
  ).toEqual([]);
});
