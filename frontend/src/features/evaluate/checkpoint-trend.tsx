import type { EvaluationReport } from "@/api/evaluations";
import { Chart } from "@/charts/chart";
import type { Curve } from "@/charts/curves";
import { Card } from "@/components/card";
import { formatNumber } from "@/components/format";
import { checkpointPoints } from "@/features/evaluate/checkpoint-points";

/** Accuracy over the checkpoints that were asked, with its intervals. */
export function CheckpointTrend({ report }: { report: EvaluationReport }) {
  const groups = checkpointPoints(report);
  if (groups.length === 0) {
    return null;
  }
  const curves = groups.map(({ label, points }, place): Curve => {
    const values = points.map(({ accuracy }) => accuracy);
    return {
      id: label,
      label,
      role: groups.length === 1 ? "evaluation" : place,
      x: points.map(({ step }) => step),
      mean: values,
      minimum: values,
      maximum: values,
      low: points.map(({ low }) => low),
      high: points.map(({ high }) => high),
      bucket: 1,
      sparse: true,
    };
  });
  return (
    <Card title="Accuracy over the checkpoints">
      <Chart
        title="Accuracy"
        unit="%"
        curves={curves}
        smoothing={0}
        log={false}
        height={200}
        compact
        syncKey="evaluate"
        range={null}
        onRange={() => undefined}
        formatX={formatNumber}
        formatY={(value) => formatNumber(value * 100)}
      />
    </Card>
  );
}
