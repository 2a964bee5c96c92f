import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { runKinds } from "@/api/methods";
import type { RunSummary } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { Card, Figure } from "@/components/card";
import { formatDuration, formatNumber } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { Sparkline } from "@/components/sparkline";
import { RunStateBadge } from "@/features/runs/run-state";

/** What a method learns by: the first of these that a run has measured. */
const LEARNED_BY = [
  { key: "divergence", label: "Divergence", unit: "nats/token" },
  { key: "reward", label: "Mean reward", unit: undefined },
  { key: "loss", label: "Loss", unit: "nats/token" },
] as const;

export function learnedBy({ metrics }: Pick<RunSummary, "metrics">) {
  return LEARNED_BY.find(({ key }) => metrics[key]);
}

/** The run at work: how far it is and how it goes. */
export function ActiveRun({ run }: { run: RunSummary }) {
  const share = run.num_steps ? run.step / run.num_steps : 0;
  return (
    <Card
      title={
        <span className="flex items-center gap-2">
          <Link
            to="/runs/$runId"
            params={{ runId: run.run_id }}
            className="truncate hover:underline"
          >
            {run.name}
          </Link>
          <RunStateBadge state={run.state} />
        </span>
      }
      actions={
        <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }} size="sm">
          Watch
        </ButtonLink>
      }
    >
      <div className="grid grid-cols-[repeat(3,minmax(0,1fr))_180px] items-center gap-6">
        <Figure
          label="Step"
          value={run.step}
          unit={run.num_steps ? `of ${run.num_steps}` : undefined}
        />
        <Figure label="Time left" value={formatDuration(run.eta_seconds)} />
        <Now run={run} />
      </div>
      <ProgressBar label="Progress" share={share} className="mt-3" />
    </Card>
  );
}

/** What it learns by and how that went; before the first step what it does instead. */
function Now({ run }: { run: RunSummary }) {
  const kinds = useQuery(runKinds()).data;
  const measured = learnedBy(run);
  if (!measured) {
    const phases = kinds?.find(({ name }) => name === run.method)?.phases ?? [];
    const title = phases.find(({ phase }) => phase === run.phase)?.title;
    return title ? <Figure label="Before the first step" value={title} /> : null;
  }
  const { key, label, unit } = measured;
  return (
    <>
      <Figure label={label} value={formatNumber(run.metrics[key]?.last)} unit={unit} />
      <Sparkline values={run.sparkline} label={`${label} of ${run.name}`} width={180} height={40} />
    </>
  );
}
