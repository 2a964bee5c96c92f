import { useQuery } from "@tanstack/react-query";
import { firstRollouts } from "@/api/files";
import type { MetricSummary, RolloutRecord, RunSummary } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { Card, Figure } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";
import { OwnData } from "@/features/home/start-from";

const FEW_RUNS = 3;
/** Metrics that say best what a first run changed, in the order of what a person understands. */
const TELLING = [
  { key: "eval_accuracy", label: "Right answers", isShare: true },
  { key: "eval_agreement", label: "Says what the teacher would", isShare: true },
  { key: "eval_reverse_kl", label: "Distance from the teacher", isShare: false },
  { key: "eval_loss", label: "Loss on held-out lines", isShare: false },
] as const;
const SHOWN = 2;
/** The token that ends a turn says nothing to a reader. */
const END = /<\|[^|<>]*\|>$/;

/** The run of a new workspace that came to its end, while there are few: what a new user did first. */
export function firstFinished(runs: readonly RunSummary[], total: number): RunSummary | undefined {
  return total > FEW_RUNS
    ? undefined
    : runs.find(({ state, method }) => state === "finished" && method !== "evaluation");
}

/** What the first run did, at one glance, and where to go from there. */
export function FirstSuccess({ run }: { run: RunSummary }) {
  const measured = TELLING.flatMap((each) => {
    const metric = run.metrics[each.key];
    return metric ? [{ ...each, metric }] : [];
  }).slice(0, SHOWN);
  return (
    <Card
      title={`What ${run.name} learned`}
      actions={
        <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }} size="sm">
          See the run
        </ButtonLink>
      }
    >
      <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2">
        {measured.map(({ key, label, isShare, metric }) => (
          <BeforeAfter key={key} label={label} metric={metric} isShare={isShare} />
        ))}
      </div>
      <Example runId={run.run_id} />
      <div className="mt-4 flex flex-wrap items-center gap-2 border-t pt-3">
        <span className="mr-1 font-medium">Next</span>
        <OwnData />
        <ButtonLink to="/playground" search={{ run: run.run_id }}>
          Try the student
        </ButtonLink>
        <ButtonLink to="/export" search={{ run: run.run_id }}>
          Export it
        </ButtonLink>
      </div>
    </Card>
  );
}

interface BeforeAfterProps {
  label: string;
  metric: MetricSummary;
  isShare: boolean;
}

function BeforeAfter({ label, metric, isShare }: BeforeAfterProps) {
  const shown = (value: number) => (isShare ? formatPercent(value) : formatNumber(value, 3));
  return (
    <Figure
      label={label}
      value={`${shown(metric.first)} → ${shown(metric.after)}`}
      unit={isShare ? "%" : "nats/token"}
      note="before and after, on lines it was not trained on"
    />
  );
}

/** What the student wrote at its start, where it was furthest from its teacher, and at its end. */
function Example({ runId }: { runId: string }) {
  const first = useQuery(firstRollouts(runId, false)).data?.rollouts ?? [];
  const last = useQuery(firstRollouts(runId, true)).data?.rollouts ?? [];
  const early = furthest(first.filter(isOwn));
  const late = last.find(isOwn);
  if (!early || !late || early.step === late.step) {
    return null;
  }
  return (
    <dl className="mt-4 grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-1">
      {[early, late].map((rollout) => (
        <Written key={rollout.step} rollout={rollout} />
      ))}
    </dl>
  );
}

function Written({ rollout }: { rollout: RolloutRecord }) {
  return (
    <>
      <dt className="num text-muted">Step {rollout.step}</dt>
      <dd className="truncate" title={`${rollout.prompt}\n${rollout.completion}`}>
        <span className="text-muted">{rollout.prompt}</span>{" "}
        <span className="font-mono">{rollout.completion.replace(END, "")}</span>
      </dd>
    </>
  );
}

/** The one that the teacher found furthest from what it would have said. */
function furthest(rollouts: readonly RolloutRecord[]): RolloutRecord | undefined {
  const distance = ({ divergence }: RolloutRecord) =>
    (divergence ?? []).reduce((sum, value) => sum + value, 0);
  return [...rollouts].sort((one, other) => distance(other) - distance(one))[0];
}

function isOwn({ source }: RolloutRecord): boolean {
  return source === "student";
}
