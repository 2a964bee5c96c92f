import type { MetricSummary, RunDetail, RunSummary } from "@/api/types";
import { Badge } from "@/components/badge";
import { Card, Figure } from "@/components/card";
import { formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { accuracyNote, ChosenNote, DistanceFigures, EndFigures } from "@/features/run/report-card";
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
  const accuracy = run.metrics["eval_accuracy"];
  const looking = lookingOf(
    accuracy,
    run.metrics["eval_accuracy_shuffled"],
    run.metrics["eval_accuracy_blank"],
  );
  return (
    <Card title="Report card">
      <div className="grid grid-cols-2 gap-x-6 gap-y-4 md:grid-cols-3 lg:grid-cols-5">
        <Figure
          label="Right about its picture"
          value={formatPercent(accuracy?.last)}
          unit={accuracy ? "%" : undefined}
          note={[accuracyNote(run), roundedNote(run)].filter(Boolean).join("; ")}
        />
        <Share label="Shown another picture" metric={run.metrics["eval_accuracy_shuffled"]} />
        <Share label="Shown a blank picture" metric={run.metrics["eval_accuracy_blank"]} />
        <Share label="The teacher is right" metric={run.metrics["eval_teacher_accuracy"]} />
        <Share label="Thoughts that close" metric={run.metrics["eval_closed_thoughts"]} />
        <DistanceFigures run={run} />
        <Share label="Held-out answers cut off" metric={run.metrics["eval_truncated_share"]} />
        <EndFigures run={run} />
      </div>
      {looking ? (
        <p className="mt-3 flex flex-wrap items-center gap-2 border-t pt-2">
          <Badge tone={VERDICTS[looking].tone}>{VERDICTS[looking].label}</Badge>
          {VERDICTS[looking].text}
        </p>
      ) : null}
      <ChosenNote run={run} noun="prompts" />
    </Card>
  );
}

/** A share with its interval and where it came from; a dash where it was not measured. */
function Share({ label, metric }: { label: string; metric: MetricSummary | undefined }) {
  return (
    <Figure
      label={label}
      value={formatPercent(metric?.last)}
      unit={metric ? "%" : undefined}
      note={metric ? shareNote(metric) : "not measured"}
    />
  );
}

function shareNote(metric: MetricSummary): string {
  const interval = intervalText(metric.last_interval, "share");
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
  return rounded ? `${formatPercent(rounded.last)}\u00a0% where numbers may be rounded` : "";
}
