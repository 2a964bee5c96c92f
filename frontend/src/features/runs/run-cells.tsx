import { Link } from "@tanstack/react-router";
import { Star } from "lucide-react";
import { memo, type ReactNode } from "react";
import type { KindFacts, Metric, RunSummary } from "@/api/types";
import { Badge } from "@/components/badge";
import { formatAgo, formatNumber, formatPercent } from "@/components/format";
import { type Bounds, intervalText } from "@/components/interval";
import { Sparkline } from "@/components/sparkline";
import { Skeleton } from "@/components/states";
import { type RunSearch, toggled } from "@/features/runs/listing";
import { useAnnotate } from "@/features/runs/run-actions";
import { RunStateDot } from "@/features/runs/run-state";

export interface CellsProps {
  run: RunSummary | undefined;
  columns: readonly string[];
  selected: RunSearch["selected"];
  change: (part: Partial<RunSearch>) => void;
  metrics: ReadonlyMap<string, Metric> | undefined;
  kinds: readonly KindFacts[];
}

/** Rows that stay on the screen while it scrolls are not made again. */
export const Cells = memo(function Cells({
  run,
  columns,
  selected,
  change,
  metrics,
  kinds,
}: CellsProps) {
  if (!run) {
    return (
      <td className="col-span-full">
        <Skeleton className="h-3 w-1/2" />
      </td>
    );
  }
  const kind = kinds.find(({ name }) => name === run.method);
  return (
    <>
      <td>
        <input
          type="checkbox"
          aria-label={`Select ${run.name}`}
          checked={selected?.includes(run.run_id) ?? false}
          onChange={() => change({ selected: toggled(selected, run.run_id) })}
          className="accent-accent align-middle"
        />
      </td>
      <td>
        <FavouriteButton run={run} />
      </td>
      <td className="flex min-w-0 items-center gap-2 pr-3">
        <Link
          to="/runs/$runId"
          params={{ runId: run.run_id }}
          title={run.name}
          className="truncate font-medium hover:underline"
        >
          {run.name}
        </Link>
        {run.annotations.tags?.map((tag) => (
          <Badge key={tag}>{tag}</Badge>
        ))}
      </td>
      <td className="flex items-center gap-2" title={run.damage ?? undefined}>
        <RunStateDot state={run.state} />
        {run.damage ? <Badge tone="bad">damaged</Badge> : run.state}
      </td>
      <td
        className="truncate pr-3 text-muted @max-[880px]/runs:hidden"
        title={kind?.title ?? run.method}
      >
        {kind?.title ?? run.method}
      </td>
      <td
        className="truncate pr-3 text-muted @max-[1200px]/runs:hidden"
        title={run.damage ?? (run.teacher ? `${run.student} from ${run.teacher}` : run.student)}
      >
        <span className={run.damage ? "text-bad" : "text-ink"}>
          {run.damage ?? (run.student || "–")}
        </span>
        {run.teacher && !run.damage ? ` from ${run.teacher}` : ""}
      </td>
      <td className="num text-right">
        {run.step}
        <span className="text-faint"> / {run.num_steps ?? "–"}</span>
      </td>
      <td className="pl-4 @max-[1060px]/runs:hidden">
        <Sparkline
          values={run.sparkline}
          label={`${kind?.face.main?.name ?? "Curve"} of ${run.name}`}
        />
      </td>
      {columns.map((key) => (
        <td key={key} className="num min-w-0 pl-3 text-right leading-[14px]">
          <div className="truncate">{cellText(run.columns[key], metrics?.get(key))}</div>
          <Interval bounds={run.metrics[key]?.after_interval} unit={metrics?.get(key)?.unit} />
        </td>
      ))}
      <td className="num text-right whitespace-nowrap text-muted">{formatAgo(run.created)}</td>
    </>
  );
});

/** The interval of a held-out figure, small below it. */
function Interval({ bounds, unit }: { bounds: Bounds; unit: string | undefined }) {
  const text = intervalText(bounds, unit);
  return text ? (
    <div className="truncate text-[10px] leading-[12px] text-faint" title={`95 % interval ${text}`}>
      {text}
    </div>
  ) : null;
}

function cellText(value: string | number | boolean | null | undefined, metric?: Metric): ReactNode {
  if (typeof value !== "number") {
    return value === null || value === undefined ? (
      <span className="text-faint">–</span>
    ) : (
      String(value)
    );
  }
  if (metric?.unit === "share") {
    return (
      <>
        {formatPercent(value)} <span className="text-faint">%</span>
      </>
    );
  }
  return formatNumber(value);
}

function FavouriteButton({ run }: { run: RunSummary }) {
  const annotate = useAnnotate(run.run_id);
  const is = run.annotations.favourite ?? false;
  return (
    <button
      type="button"
      aria-label={is ? `Remove ${run.name} from the favourites` : `Make ${run.name} a favourite`}
      aria-pressed={is}
      onClick={() => annotate.mutate({ favourite: !is })}
      className="flex size-6 items-center justify-center text-line-strong hover:text-muted aria-pressed:text-teacher"
    >
      <Star className="size-3.5" fill={is ? "currentColor" : "none"} aria-hidden />
    </button>
  );
}
