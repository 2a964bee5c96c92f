import type { MetricSummary, RunDetail, RunSummary } from "@/api/types";
import { Card, Figure } from "@/components/card";
import { formatDuration, formatNumber, formatPercent } from "@/components/format";
import { intervalText, withInterval } from "@/components/interval";
import { heldOutDistance } from "@/features/run/held-out";
import { isAtWork } from "@/features/runs/run-state";

/** What the run is worth, in five numbers; each says from where to where. */
export function ReportCard({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const accuracy = run.metrics["eval_accuracy"];
  return (
    <Card title="Report card">
      <div className="grid grid-cols-2 gap-x-6 gap-y-4 md:grid-cols-3 lg:grid-cols-5">
        <DistanceFigures run={run} />
        <Figure
          label="Task accuracy"
          value={formatPercent(accuracy?.last)}
          unit={accuracy ? "%" : undefined}
          note={accuracyNote(run)}
        />
        <EndFigures run={run} />
      </div>
      <ChosenNote run={run} noun="prompts" />
    </Card>
  );
}

/** How far the student came towards its teacher. */
export function DistanceFigures({ run }: { run: RunSummary }) {
  const distance = heldOutDistance(run);
  const kl = run.metrics[distance.reverseKl];
  const agreement = run.metrics[distance.agreement];
  return (
    <>
      <Figure
        label={`Held-out reverse KL${distance.suffix} fell by`}
        value={kl && isMeasuredAgain(kl) ? formatPercent(1 - kl.last / kl.first) : "–"}
        unit={kl && isMeasuredAgain(kl) ? "%" : undefined}
        note={klNote(run, kl)}
      />
      <Figure
        label={`Agreement with the teacher${distance.suffix}`}
        value={formatPercent(agreement?.last)}
        unit={agreement ? "%" : undefined}
        note={agreementNote(agreement)}
      />
    </>
  );
}

/** Which checkpoint to take, and what all of it took. */
export function EndFigures({ run }: { run: RunSummary }) {
  const seconds = run.started && run.updated ? run.updated - run.started : null;
  const tokens = run.metrics["tokens_per_second"]?.last;
  return (
    <>
      <Figure
        label="Best checkpoint"
        value={run.best_step || "–"}
        note={bestNote(run, "reverse KL")}
      />
      <Figure
        label="Time at work"
        value={formatDuration(seconds)}
        note={tokens === undefined ? undefined : `${formatNumber(tokens, 3)} tok/s at the end`}
      />
    </>
  );
}

/** Over what the intervals are, and what the best checkpoint owes to having been chosen. */
export function ChosenNote({ run, noun }: { run: RunSummary; noun: string }) {
  if (run.num_held_out === null || run.num_held_out < 2) {
    return null;
  }
  return (
    <p className="mt-3 border-t pt-2 text-sm text-muted">
      {run.best_step
        ? `Held-out figures are those of step ${run.best_step}, the best checkpoint, which Export takes. `
        : ""}
      In brackets: 95&nbsp;% intervals over {run.num_held_out} held-out {noun}. The best checkpoint
      was chosen on these same {noun}, so its own figures flatter it a little.
    </p>
  );
}

/** How much of the distance between the student before and the teacher was gained. */
export function gapClosed(run: RunSummary): number | null {
  const accuracy = run.metrics["eval_accuracy"];
  const teacher = run.metrics["eval_teacher_accuracy"]?.last;
  const hasMoved = accuracy && accuracy.minimum !== accuracy.maximum;
  if (!hasMoved || teacher === undefined || teacher <= accuracy.first) {
    return null;
  }
  return (accuracy.last - accuracy.first) / (teacher - accuracy.first);
}

/** With one evaluation there is nothing that could have fallen or risen. */
function isMeasuredAgain(metric: MetricSummary): boolean {
  return metric.first > 0 && metric.minimum !== metric.maximum;
}

/** What the best step is the best of; step 0 is before anything was learned. */
export function bestNote(run: RunSummary, measure: string): string {
  if (run.best_step === null || (run.best_step === 0 && isAtWork(run.state))) {
    return "none yet";
  }
  return run.best_step === 0
    ? `no later evaluation was as good in ${measure}`
    : `nothing beats its ${measure} beyond chance`;
}

const SMALL_CHANGE = 0.02;

function klNote(run: RunSummary, kl: MetricSummary | undefined): string {
  if (!kl) {
    return "no evaluation yet";
  }
  if (!isMeasuredAgain(kl)) {
    return `${withInterval(formatNumber(kl.last), kl.last_interval)} nats/token, measured once`;
  }
  const way = wayText(kl);
  return !isAtWork(run.state) && Math.abs(1 - kl.last / kl.first) < SMALL_CHANGE
    ? `${way}: hardly anything was learned; raise learning_rate or num_steps`
    : way;
}

/** From where to where a distance went. */
export function wayText(metric: MetricSummary): string {
  const first = withInterval(formatNumber(metric.first), metric.first_interval);
  const last = withInterval(formatNumber(metric.last), metric.last_interval);
  return `${first} to ${last} nats/token`;
}

function agreementNote(agreement: MetricSummary | undefined): string {
  if (!agreement) {
    return "no evaluation yet";
  }
  const interval = intervalText(agreement.last_interval, "share");
  const from = isMeasuredAgain(agreement)
    ? `from ${formatPercent(agreement.first)}\u00a0%`
    : "as at the start";
  return interval ? `(${interval}\u00a0%) ${from}` : from;
}

/** How sure the number is, where it came from, and how far that is on the way to the teacher. */
export function accuracyNote(run: RunSummary): string {
  const accuracy = run.metrics["eval_accuracy"];
  if (!accuracy) {
    return "the validation file has no answers";
  }
  const count = run.metrics["eval_num_graded"]?.last ?? Number.NaN;
  const interval = intervalText(accuracy.last_interval, "share");
  const gap = gapClosed(run);
  return [
    interval ? `(${interval}\u00a0%) on ${count} prompts` : "",
    `from ${formatPercent(accuracy.first)}\u00a0%`,
    gap === null ? "" : `${formatPercent(gap, 0)}\u00a0% of the gap closed`,
  ]
    .filter(Boolean)
    .join(", ");
}
