import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { runKinds } from "@/api/methods";
import type { StageStatus } from "@/api/pipelines";
import { formatCount, formatDuration } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { PipelineStateBadge } from "@/features/pipelines/pipeline-state";
import { shareOf } from "@/features/pipelines/wording";

const CELL = "px-3 font-normal";

/** A line a stage, in the order in which they run; each leads to its run. */
export function StageTable({ stages }: { stages: readonly StageStatus[] }) {
  const kinds = useQuery(runKinds()).data ?? [];
  const titles = new Map(kinds.map(({ name, title }) => [name, title]));
  return (
    <div className="overflow-x-auto">
      <table className="num w-full">
        <thead>
          <tr className="label h-8 text-left">
            <th className={CELL}>Stage</th>
            <th className={CELL}>Does</th>
            <th className={CELL}>Goes on from</th>
            <th className={CELL}>State</th>
            <th className={CELL}>Step</th>
            <th className={`${CELL} text-right`}>Took</th>
            <th className={`${CELL} text-right`}>To go</th>
          </tr>
        </thead>
        <tbody>
          {stages.map((stage) => (
            <tr key={stage.name} className="h-8 border-t">
              <th className="max-w-64 truncate px-3 text-left font-medium">
                <StageName stage={stage} />
              </th>
              <td className="px-3 whitespace-nowrap text-muted">
                {titles.get(stage.method) ?? ""}
              </td>
              <td className="px-3 whitespace-nowrap text-muted">{stage.start ?? "–"}</td>
              <td className="px-3 whitespace-nowrap">
                <PipelineStateBadge state={stage.state} />
                {stage.taken_over ? (
                  <span className="ml-2 text-muted">by an earlier pipeline</span>
                ) : null}
              </td>
              <td className="w-40 px-3">
                <StageProgress stage={stage} />
              </td>
              <td className="px-3 text-right whitespace-nowrap">{formatDuration(stage.seconds)}</td>
              <td className="px-3 text-right whitespace-nowrap">
                {stage.state === "finished" ? "–" : formatDuration(stage.left_seconds)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function StageName({ stage }: { stage: StageStatus }) {
  // What compares has names of the program's own making.
  const name = stage.variant === null ? stage.name : `answers of ${stage.variant}`;
  return stage.run_id === null ? (
    <span className="text-muted">{name}</span>
  ) : (
    <Link to="/runs/$runId" params={{ runId: stage.run_id }} className="hover:underline">
      {name}
    </Link>
  );
}

function StageProgress({ stage }: { stage: StageStatus }) {
  const share = shareOf(stage);
  // An evaluation has no steps, and a stage that waits has done none.
  if (stage.method === "evaluation" || stage.state === "waiting") {
    return <span className="text-faint">–</span>;
  }
  return (
    <span className="flex items-center gap-2">
      <span className="whitespace-nowrap">
        {formatCount(stage.step)}
        {stage.num_steps > 0 ? (
          <span className="text-faint"> / {formatCount(stage.num_steps)}</span>
        ) : null}
      </span>
      {share === null || stage.state === "finished" ? null : (
        <ProgressBar label={`Progress of ${stage.name}`} share={share} className="min-w-12 grow" />
      )}
    </span>
  );
}
