import type { MetricSummary, RunDetail, RunSummary } from "@/api/types";
import { formatNumber, formatPercent } from "@/components/format";
import { intervalText, withInterval } from "@/components/interval";
import { heldOutDistance } from "@/features/run/held-out";
import { type Measured, ReportFigures } from "@/features/run/report-figures";
import { isAtWork } from "@/features/runs/run-state";

/** What the run is worth, in a few numbers; each says from where to where. */
export function ReportCard({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const accuracy = run.metrics["eval_accuracy"];
  return (
    <ReportFigures
      detail={detail}
      measure="reverse KL"
      noun="prompts"
      figures={[
        ...distanceFigures(run),
        accuracy
          ? {
              label: "Task accuracy",
              value: formatPercent(accuracy.after),
              unit: "%",
              note: accuracyNote(run, accuracy),
            }
          : null,
      ]}
    />
  );
}

/** How far the student came towards its teacher. */
export function distanceFigures(run: RunSummary): Measured[] {
  const distance = heldOutDistance(run);
  const kl = run.metrics[distance.reverseKl];
  const agreement = run.metrics[distance.agreement];
  return [
    kl ? klFigure(run, kl, distance.suffix) : null,
    agreement
      ? {
          label: `Agreement with the teacher${distance.suffix}`,
          value: formatPercent(agreement.after),
          unit: "%",
          note: agreementNote(agreement),
        }
      : null,
  ];
}

function klFigure(run: RunSummary, kl: MetricSummary, suffix: string): Measured {
  return isMeasuredAgain(kl)
    ? {
        ...wayMoved(`Held-out reverse KL${suffix}`, kl),
        note: klNote(run, kl),
      }
    : measuredOnce(`Held-out reverse KL${suffix}`, kl);
}

/** How far a distance fell, or rose, as a share of what it was. */
export function wayMoved(label: string, { first, after }: MetricSummary) {
  const share = 1 - after / first;
  const way = share < 0 ? "rose" : "fell";
  return { label: `${label} ${way} by`, value: formatPercent(Math.abs(share)), unit: "%" };
}

/** A distance of which there is one evaluation: nothing can have fallen yet. */
export function measuredOnce(label: string, metric: MetricSummary): Measured {
  const interval = intervalText(metric.after_interval);
  return {
    label,
    value: formatNumber(metric.after),
    unit: "nats/token",
    note: `${interval ? `(${interval}) ` : ""}measured once`,
  };
}

/** How much of the distance between the student before and the teacher was gained. */
export function gapClosed(run: RunSummary): number | null {
  const accuracy = run.metrics["eval_accuracy"];
  const teacher = run.metrics["eval_teacher_accuracy"]?.after;
  const hasMoved = accuracy && accuracy.minimum !== accuracy.maximum;
  if (!hasMoved || teacher === undefined || teacher <= accuracy.first) {
    return null;
  }
  return (accuracy.after - accuracy.first) / (teacher - accuracy.first);
}

/** With one evaluation there is nothing that could have fallen or risen. */
export function isMeasuredAgain(metric: MetricSummary): boolean {
  return metric.first > 0 && metric.minimum !== metric.maximum;
}

const SMALL_CHANGE = 0.02;

function klNote(run: RunSummary, kl: MetricSummary): string {
  const way = wayText(kl);
  return !isAtWork(run.state) && Math.abs(1 - kl.after / kl.first) < SMALL_CHANGE
    ? `${way}: hardly anything was learned; try a higher learning rate or more steps`
    : way;
}

/** From where to where a distance went. */
export function wayText(metric: MetricSummary): string {
  const first = withInterval(formatNumber(metric.first), metric.first_interval);
  const after = withInterval(formatNumber(metric.after), metric.after_interval);
  return `${first} to ${after} nats/token`;
}

function agreementNote(agreement: MetricSummary): string {
  const interval = intervalText(agreement.after_interval, "share");
  const from = isMeasuredAgain(agreement)
    ? `from ${formatPercent(agreement.first)}\u00a0%`
    : "as at the start";
  return interval ? `(${interval}\u00a0%) ${from}` : from;
}

/** How sure the number is, where it came from, and how far that is on the way to the teacher. */
export function accuracyNote(run: RunSummary, accuracy: MetricSummary): string {
  const count = run.metrics["eval_num_graded"]?.after ?? Number.NaN;
  const interval = intervalText(accuracy.after_interval, "share");
  const gap = gapClosed(run);
  return [
    interval ? `(${interval}\u00a0%) on ${count} prompts` : "",
    accuracy.minimum === accuracy.maximum
      ? "as at the start"
      : `from ${formatPercent(accuracy.first)}\u00a0%`,
    gap === null ? "" : `${formatPercent(gap, 0)}\u00a0% of the gap closed`,
  ]
    .filter(Boolean)
    .join(", ");
}
