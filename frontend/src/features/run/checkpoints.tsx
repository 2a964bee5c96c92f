import { useQuery } from "@tanstack/react-query";
import clsx from "clsx";
import { useEffect, useRef, useState } from "react";
import { checkpoints } from "@/api/files";
import { metricCatalogue } from "@/api/metrics";
import { describeError } from "@/api/problem";
import type { Checkpoint, Metric, RunDetail } from "@/api/types";
import { Badge } from "@/components/badge";
import {
  formatAgo,
  formatBytes,
  formatNumber,
  formatPercent,
  formatTime,
} from "@/components/format";
import { intervalText } from "@/components/interval";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { CheckpointActions } from "@/features/run/checkpoint-actions";
import { CheckpointChart } from "@/features/run/checkpoint-chart";

/** What a row of the table tells, as far as a run measures it; the deciding metric comes first. */
const TOLD = [
  "eval_reverse_kl",
  "eval_off_policy_reverse_kl",
  "eval_loss",
  "eval_agreement",
  "eval_off_policy_agreement",
  "eval_accuracy",
  "divergence",
  "reward",
  "loss",
];
const MOST_TOLD = 4;

/** Every checkpoint with what was measured there and what can be done with it. */
export function Checkpoints({ detail }: { detail: RunDetail }) {
  const runId = detail.run.run_id;
  const query = useQuery(checkpoints(runId));
  const catalogue = useQuery(metricCatalogue()).data;
  const [chosen, setChosen] = useState<number | null>(null);
  if (query.isPending) {
    return <SkeletonRows count={3} />;
  }
  if (query.error) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  const rows = query.data.checkpoints;
  if (rows.length === 0) {
    return (
      <EmptyState title="No checkpoint yet">
        A checkpoint holds the adapter and the optimizer; a run can go on from each of them.
      </EmptyState>
    );
  }
  const deciding = catalogue?.get(detail.facts?.best_metric ?? "");
  const told = toldBy(rows, detail.facts?.best_metric ?? null).flatMap(
    (key) => catalogue?.get(key) ?? [],
  );
  return (
    <div className="flex flex-col gap-3">
      {deciding ? (
        <CheckpointChart
          runId={runId}
          metric={deciding}
          checkpoints={rows}
          chosen={chosen}
          onChoose={setChosen}
        />
      ) : null}
      <div className="overflow-x-auto">
        <table className="w-full text-left" aria-label="Checkpoints">
          <thead className="label">
            <tr className="h-8 border-b">
              <th className="font-normal">Step</th>
              {told.map((metric) => (
                <th key={metric.key} className="pl-3 text-right font-normal" title={metric.key}>
                  {metric.title}
                </th>
              ))}
              <th className="pl-4 font-normal">Saved</th>
              <th className="pl-3 text-right font-normal">Size</th>
              <th className="pl-4 font-normal">
                <span className="sr-only">What to do with it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.toReversed().map((checkpoint) => (
              <Row
                key={checkpoint.step}
                detail={detail}
                checkpoint={checkpoint}
                told={told}
                isNewest={checkpoint === rows.at(-1)}
                isChosen={checkpoint.step === chosen}
              />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** Which metrics some checkpoint of the run has, the deciding one first. */
export function toldBy(rows: readonly Checkpoint[], deciding: string | null): string[] {
  const order = [...(deciding ? [deciding] : []), ...TOLD.filter((key) => key !== deciding)];
  return order
    .filter((key) => rows.some(({ metrics }) => key in (metrics ?? {})))
    .slice(0, MOST_TOLD);
}

interface RowProps {
  detail: RunDetail;
  checkpoint: Checkpoint;
  told: readonly Metric[];
  isNewest: boolean;
  isChosen: boolean;
}

function Row({ detail, checkpoint, told, isNewest, isChosen }: RowProps) {
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (isChosen) {
      row.current?.scrollIntoView({ block: "nearest" });
    }
  }, [isChosen]);
  return (
    <tr
      ref={row}
      aria-current={isChosen ? "true" : undefined}
      className={clsx("num h-11 border-b", isChosen && "bg-selected")}
    >
      <td className="whitespace-nowrap" title={checkpoint.path}>
        <span className="mr-2 font-medium">{checkpoint.step}</span>
        {checkpoint.is_best ? <Badge tone="good">best</Badge> : null}{" "}
        {checkpoint.is_last ? <Badge>last</Badge> : null}
      </td>
      {told.map((metric) => (
        <MetricCell key={metric.key} checkpoint={checkpoint} metric={metric} />
      ))}
      <td className="pl-4 whitespace-nowrap text-muted" title={formatTime(checkpoint.time)}>
        {formatAgo(checkpoint.time)}
      </td>
      <td className="pl-3 text-right whitespace-nowrap">{formatBytes(checkpoint.num_bytes)}</td>
      <td className="pl-4">
        <CheckpointActions detail={detail} step={checkpoint.step} isNewest={isNewest} />
      </td>
    </tr>
  );
}

function MetricCell({ checkpoint, metric }: { checkpoint: Checkpoint; metric: Metric }) {
  const value = checkpoint.metrics?.[metric.key];
  if (value === undefined) {
    return (
      <td className="pl-3 text-right text-faint" title="Not evaluated at this step">
        –
      </td>
    );
  }
  const isShare = metric.unit === "share";
  const sure = intervalText(checkpoint.intervals?.[metric.key], metric.unit);
  return (
    <td className="pl-3 text-right leading-tight whitespace-nowrap">
      {isShare ? `${formatPercent(value)}\u00a0%` : formatNumber(value, 3)}
      {sure ? <div className="text-[11px] text-faint">{sure}</div> : null}
    </td>
  );
}
