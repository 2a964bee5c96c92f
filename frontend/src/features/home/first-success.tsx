import { useQuery } from "@tanstack/react-query";
import { beforeAfter, firstRollouts } from "@/api/files";
import type { BeforeAfter, MetricSummary, RolloutRecord, RunSummary } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { Card, Figure } from "@/components/card";
import { formatBytes, formatDuration, formatNumber, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { AnswersTable, answerText } from "@/features/run/before-after";
import { OwnFiles } from "@/features/run/outcome";

const FEW_RUNS = 3;
/** Metrics that say best what a first run changed, in the order of what a person understands. */
const TELLING = [
  { key: "eval_accuracy", label: "Right answers", isShare: true },
  { key: "eval_agreement", label: "Says what the teacher would", isShare: true },
  { key: "eval_reverse_kl", label: "Distance from the teacher", isShare: false },
  { key: "eval_loss", label: "Loss on held-out lines", isShare: false },
] as const;
const SHOWN = 2;
const PROMPTS = 2;

/** The run of a new workspace that came to its end, while there are few: what a new user did first. */
export function firstFinished(runs: readonly RunSummary[], total: number): RunSummary | undefined {
  return total > FEW_RUNS
    ? undefined
    : runs.findLast(({ state, method }) => state === "finished" && method !== "evaluation");
}

/** What the first run did, at one glance, and where to go from there. */
export function FirstSuccess({ run }: { run: RunSummary }) {
  const measured = TELLING.flatMap((each) => {
    const metric = run.metrics[each.key];
    return metric ? [{ ...each, metric }] : [];
  }).slice(0, SHOWN);
  const found = useQuery(beforeAfter(run.run_id)).data;
  return (
    <Card
      title={`What ${run.name} learned`}
      actions={
        <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }} size="sm">
          See the run
        </ButtonLink>
      }
    >
      <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2 xl:grid-cols-[1fr_1fr_auto]">
        {measured.map(({ key, label, isShare, metric }) => (
          <Change key={key} label={label} metric={metric} isShare={isShare} />
        ))}
        <Cost run={run} found={found} />
      </div>
      {found && found.rows.length > 0 ? (
        <div className="mt-4">
          <AnswersTable found={found} most={PROMPTS} />
        </div>
      ) : found ? (
        <Example runId={run.run_id} />
      ) : null}
      <div className="mt-4 flex flex-wrap items-center gap-2 border-t pt-3">
        <span className="mr-1 font-medium">Next</span>
        <OwnFiles runId={run.run_id} look="primary" />
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

interface ChangeProps {
  label: string;
  metric: MetricSummary;
  isShare: boolean;
}

/** A held-out figure before and after, and how sure the latter is. */
function Change({ label, metric, isShare }: ChangeProps) {
  const shown = (value: number) => (isShare ? formatPercent(value) : formatNumber(value, 3));
  const sure = intervalText(metric.after_interval, isShare ? "share" : undefined);
  return (
    <Figure
      label={label}
      value={`${shown(metric.first)} → ${shown(metric.after)}`}
      unit={isShare ? "%" : "nats/token"}
      note={`${sure ? `95\u00a0% interval ${sure}, ` : ""}on lines it was not trained on`}
    />
  );
}

/** What it took, and how large what came of it is. */
function Cost({ run, found }: { run: RunSummary; found: BeforeAfter | undefined }) {
  const seconds = run.started && run.updated ? run.updated - run.started : null;
  const bytes = found?.adapter_bytes ?? null;
  return seconds === null ? null : (
    <Figure
      label="From start to end"
      value={formatDuration(seconds)}
      note={bytes === null ? undefined : `the adapter has ${formatBytes(bytes)}`}
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
        <span className="font-mono">{answerText(rollout.completion)}</span>
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
