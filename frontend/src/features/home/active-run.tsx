import { Link } from "@tanstack/react-router";
import type { RunSummary } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { Card, Figure } from "@/components/card";
import { formatDuration, formatNumber } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { Sparkline } from "@/components/sparkline";
import { RunStateBadge } from "@/features/runs/run-state";

/** The run at work: how far it is and how it goes. */
export function ActiveRun({ run }: { run: RunSummary }) {
  const share = run.num_steps ? run.step / run.num_steps : 0;
  const kl = run.metrics["divergence"];
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
        <Figure
          label="Divergence"
          value={formatNumber(kl?.last)}
          unit={kl ? "nats/token" : undefined}
        />
        <Sparkline
          values={run.sparkline}
          label={`Divergence of ${run.name}`}
          width={180}
          height={40}
        />
      </div>
      <ProgressBar label="Progress" share={share} className="mt-3" />
    </Card>
  );
}
