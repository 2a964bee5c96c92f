import { expect, test } from "vitest";
import type { MetricSummary, RunDetail, RunSummary } from "@/api/types";
import { originRows } from "@/features/run/origin-card";
import { distanceFigures } from "@/features/run/report-card";
import { whichStep } from "@/features/run/report-figures";

function metric(values: Partial<MetricSummary>): MetricSummary {
  return { first: 2, after: 0.5, last: 0.8, minimum: 0.5, maximum: 2, ...values } as MetricSummary;
}

function run(values: object): RunSummary {
  return { state: "finished", metrics: {}, ...values } as RunSummary;
}

test("a report card headlines what is exported and not the last step", () => {
  const kl = metric({ after_interval: { low: 0.4, high: 0.6 } });
  const [fallen, agreement] = distanceFigures(run({ metrics: { eval_reverse_kl: kl } }));
  expect([fallen?.value, fallen?.note]).toEqual(["75.0", "2 to 0.5 (0.4 to 0.6) nats/token"]);
  expect(agreement, "what was not measured has no figure").toBeNull();
});

test("the card says of which step its figures are", () => {
  const best = { best_step: 20, headline_step: 20 };
  expect(whichStep(run(best), "reverse KL")).toContain("step 20, the best checkpoint");
  const worse = { best_step: 0, headline_step: 40 };
  expect(whichStep(run(worse), "reverse KL")).toContain("Export takes the last checkpoint");
  expect(whichStep(run({ ...worse, state: "running" }), "reverse KL")).toBe("");
});

test("what made a run has no row for what is not known", () => {
  const origin = { files: [{ title: "Prompts", path: "/a" }], seed: 0, machine: null, machines: 0 };
  const detail = {
    run: run({ run_id: "x", student: "s", teacher: null, started: null }),
    origin: { ...origin, config_hash: "" },
  } as unknown as RunDetail;
  expect(originRows(detail).map(([name]) => name)).toEqual([
    "Student",
    "Prompts",
    "Seed",
    "Folder",
  ]);
});
