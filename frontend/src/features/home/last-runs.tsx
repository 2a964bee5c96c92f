import { Link } from "@tanstack/react-router";
import type { RunSummary } from "@/api/types";
import { formatAgo, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { Sparkline } from "@/components/sparkline";
import { RunStateDot } from "@/features/runs/run-state";

const COLUMNS =
  "grid-cols-[minmax(0,1fr)_96px_104px_84px] @min-[620px]:grid-cols-[minmax(0,1fr)_96px_100px_104px_84px] @min-[820px]:grid-cols-[minmax(0,1.3fr)_96px_minmax(190px,1fr)_100px_104px_84px]";

/** A line a run: name, state, pair, curve, agreement; narrow lists leave out the middle. */
export function LastRuns({ runs }: { runs: readonly RunSummary[] }) {
  return (
    <ul className="@container divide-y">
      {runs.map((run) => (
        <li key={run.run_id}>
          <Link
            to="/runs/$runId"
            params={{ runId: run.run_id }}
            className={`grid h-8 items-center gap-3 px-3 hover:bg-hover ${COLUMNS}`}
          >
            <span className="truncate font-medium" title={run.name}>
              {run.name}
            </span>
            <span className="flex items-center gap-2">
              <RunStateDot state={run.state} />
              {run.state}
            </span>
            <span className="hidden truncate text-muted @min-[820px]:block">
              {run.student}
              {run.teacher ? ` from ${run.teacher}` : ""}
            </span>
            <span className="hidden @min-[620px]:block">
              <Sparkline values={run.sparkline} label={`Divergence of ${run.name}`} />
            </span>
            <span className="num text-right whitespace-nowrap">{agreementText(run)}</span>
            <span className="num text-right whitespace-nowrap text-muted">
              {formatAgo(run.created)}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function agreementText(run: RunSummary) {
  const agreement = run.metrics["eval_agreement"];
  if (!agreement) {
    return <span className="text-faint">–</span>;
  }
  const sure = intervalText(agreement.after_interval, "share");
  return (
    <span title={sure ? `95 % interval ${sure} %, at step ${run.headline_step}` : undefined}>
      {formatPercent(agreement.after)} <span className="text-faint">% agree</span>
    </span>
  );
}
