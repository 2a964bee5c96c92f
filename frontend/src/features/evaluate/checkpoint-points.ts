/** The variants of an evaluation that are checkpoints of one run, as points over their steps. */
import type { EvaluationReport } from "@/api/evaluations";

const AT_STEP = /^student at step (\d+)( with prompt)?$/;
const BEFORE = /^student before( with prompt)?$/;

interface Point {
  variant: string;
  step: number;
  accuracy: number;
  low: number;
  high: number;
}

export interface PointGroup {
  label: string;
  points: Point[];
}

/** With and without the prompt apart; a group of one point is no trend. Before learning is step 0. */
export function checkpointPoints({ variants }: Pick<EvaluationReport, "variants">): PointGroup[] {
  const groups = new Map<string, Point[]>();
  for (const { name, accuracy, interval } of variants) {
    const at = AT_STEP.exec(name);
    const before = BEFORE.exec(name);
    if ((!at && !before) || accuracy === null || !interval) {
      continue;
    }
    const label = (at?.[2] ?? before?.[1]) ? "With the prompt" : "Without a prompt";
    const point = {
      variant: name,
      step: Number(at?.[1] ?? 0),
      accuracy,
      low: interval.low,
      high: interval.high,
    };
    groups.set(label, [...(groups.get(label) ?? []), point]);
  }
  return [...groups]
    .filter(([, points]) => points.filter(({ step }) => step > 0).length > 1)
    .map(([label, points]) => ({ label, points: points.toSorted((a, b) => a.step - b.step) }));
}
