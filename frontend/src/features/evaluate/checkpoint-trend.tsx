import clsx from "clsx";
import type { EvaluationReport } from "@/api/evaluations";
import { Chart } from "@/charts/chart";
import type { Curve } from "@/charts/curves";
import { Card } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";
import { checkpointPoints } from "@/features/evaluate/checkpoint-points";

interface CheckpointTrendProps {
  report: EvaluationReport;
  chosen: string;
  onChoose: (variant: string) => void;
}

/** Accuracy over the checkpoints that were asked, with its intervals; each can be pressed. */
export function CheckpointTrend({ report, chosen, onChoose }: CheckpointTrendProps) {
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
      {groups.map(({ label, points }) => (
        <fieldset
          key={label}
          aria-label={`${label}: checkpoint to look at`}
          className="num mt-2 flex flex-wrap items-center gap-1"
        >
          <span className="label mr-1">{groups.length > 1 ? label : "Look at"}</span>
          {points.map(({ step, accuracy, variant }) => (
            <button
              key={step}
              type="button"
              aria-pressed={variant === chosen}
              onClick={() => onChoose(variant)}
              className={clsx(
                "h-6 rounded-md border px-2 text-sm hover:bg-hover",
                "aria-pressed:border-accent aria-pressed:bg-selected",
              )}
            >
              {step === 0 ? "before" : `step ${step}`}{" "}
              <span className="text-muted">{formatPercent(accuracy)} %</span>
            </button>
          ))}
        </fieldset>
      ))}
    </Card>
  );
}
