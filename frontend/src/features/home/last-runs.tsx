import { Link } from "@tanstack/react-router";
import type { RunSummary } from "@/api/types";
import { formatAgo, formatNumber, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { Sparkline } from "@/components/sparkline";
import { RunStateDot } from "@/features/runs/run-state";

const COLUMNS =
  "grid-cols-[minmax(0,1fr)_96px_104px_84px] @min-[620px]:grid-cols-[minmax(0,1fr)_96px_100px_104px_84px] @min-[820px]:grid-cols-[minmax(0,2fr)_84px_minmax(0,1fr)_100px_104px_84px]";

/** A line a run: name, state, pair, curve, what was measured; narrow lists leave out the middle. */
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
              <Sparkline values={run.sparkline} label={`Curve of ${run.name}`} />
            </span>
            <span className="num text-right whitespace-nowrap">
              <FigureOf run={run} />
            </span>
            <span className="num text-right whitespace-nowrap text-muted">
              {formatAgo(run.created)}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** What tells most of a run, of what it has measured: the first of these. */
const TELLING = [
  { key: "eval_accuracy", words: "% right", isShare: true },
  { key: "eval_agreement", words: "% agree", isShare: true },
  { key: "eval_loss", words: "loss", isShare: false },
] as const;

function FigureOf({ run }: { run: RunSummary }) {
  const told = TELLING.find(({ key }) => run.metrics[key]);
  const metric = told && run.metrics[told.key];
  if (!told || !metric) {
    return <span className="text-faint">–</span>;
  }
  const sure = intervalText(metric.after_interval, told.isShare ? "share" : undefined);
  return (
    <span
      title={
        sure
          ? `95 % interval ${sure}${told.isShare ? " %" : ""}, held out at step ${run.headline_step}`
          : undefined
      }
    >
      {told.isShare ? formatPercent(metric.after) : formatNumber(metric.after, 3)}{" "}
      <span className="text-faint">{told.words}</span>
    </span>
  );
}
