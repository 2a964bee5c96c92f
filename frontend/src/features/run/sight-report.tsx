import type { MetricSummary, RunDetail, RunSummary } from "@/api/types";
import { Badge } from "@/components/badge";
import { formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { accuracyNote, distanceFigures } from "@/features/run/report-card";
import { type Measured, ReportFigures } from "@/features/run/report-figures";
import { type Looking, lookingOf } from "@/features/run/sight";

const VERDICTS: Record<Looking, { tone: "good" | "warn"; label: string; text: string }> = {
  looks: {
    tone: "good",
    label: "It looks",
    text: "With its own picture it is right more often than with another or a blank one, beyond chance.",
  },
  unsure: {
    tone: "warn",
    label: "Not shown that it looks",
    text: "With another or a blank picture it may be right as often. A divergence that fell says nothing about sight.",
  },
};

/** What learning to see is worth: accuracy between two controls and the teacher, then the distance. */
export function SightReport({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const { metrics } = run;
  const accuracy = metrics["eval_accuracy"];
  const looking = lookingOf(
    accuracy,
    metrics["eval_accuracy_shuffled"],
    metrics["eval_accuracy_blank"],
  );
  return (
    <ReportFigures
      detail={detail}
      measure="reverse KL"
      noun="prompts"
      figures={[
        accuracy
          ? {
              label: "Right about its picture",
              value: formatPercent(accuracy.after),
              unit: "%",
              note: [accuracyNote(run, accuracy), roundedNote(run)].filter(Boolean).join("; "),
            }
          : null,
        shareFigure("Shown another picture", metrics["eval_accuracy_shuffled"]),
        shareFigure("Shown a blank picture", metrics["eval_accuracy_blank"]),
        shareFigure("The teacher is right", metrics["eval_teacher_accuracy"]),
        shareFigure("Thinking that ends", metrics["eval_closed_thoughts"]),
        ...distanceFigures(run),
        shareFigure("Held-out answers cut off", metrics["eval_truncated_share"]),
      ]}
    >
      {looking ? (
        <p className="mt-3 flex flex-wrap items-center gap-2 border-t pt-2">
          <Badge tone={VERDICTS[looking].tone}>{VERDICTS[looking].label}</Badge>
          {VERDICTS[looking].text}
        </p>
      ) : null}
    </ReportFigures>
  );
}

/** A share with its interval and where it came from. */
function shareFigure(label: string, metric: MetricSummary | undefined): Measured {
  return metric
    ? { label, value: formatPercent(metric.after), unit: "%", note: shareNote(metric) }
    : null;
}

function shareNote(metric: MetricSummary): string {
  const interval = intervalText(metric.after_interval, "share");
  const isAgain = metric.minimum !== metric.maximum;
  return [
    interval && `(${interval}\u00a0%)`,
    isAgain && `from ${formatPercent(metric.first)}\u00a0%`,
  ]
    .filter(Boolean)
    .join(" ");
}

function roundedNote(run: RunSummary): string {
  const rounded = run.metrics["eval_accuracy_tolerant"];
  return rounded ? `${formatPercent(rounded.after)}\u00a0% where numbers may be rounded` : "";
}
