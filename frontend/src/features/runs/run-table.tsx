import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import clsx from "clsx";
import { ArrowDown, ArrowUp, Star } from "lucide-react";
import { memo, type ReactNode, useEffect, useMemo, useRef } from "react";
import type { Metric, RunSummary } from "@/api/types";
import { Badge } from "@/components/badge";
import { formatAgo, formatNumber, formatPercent } from "@/components/format";
import { type Bounds, intervalText } from "@/components/interval";
import { Sparkline } from "@/components/sparkline";
import { Skeleton } from "@/components/states";
import {
  columnsOf,
  DEFAULT_SORT,
  nextSort,
  type RunSearch,
  toggled,
} from "@/features/runs/listing";
import { useAnnotate } from "@/features/runs/run-actions";
import { RunStateDot } from "@/features/runs/run-state";
import type { RunWindow } from "@/features/runs/use-run-window";

interface RunTableProps {
  runs: RunWindow;
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
  active: number;
  onActive: (index: number) => void;
  metrics: ReadonlyMap<string, Metric> | undefined;
}

const ROW_PX = 32;

/** Ten thousand rows of which a screenful exists. */
export function RunTable(props: RunTableProps) {
  const { runs, search, change, active } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const columns = useMemo(() => columnsOf(search), [search]);
  const rows = useVirtualizer({
    count: runs.total,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  const items = rows.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a move of the window asks for pages
  useEffect(() => runs.show(first, last), [first, last]);
  useEffect(() => {
    if (active > 0) {
      rows.scrollToIndex(active);
    }
  }, [active, rows]);
  const grid = {
    gridTemplateColumns: `var(--run-columns) repeat(${columns.length}, var(--metric-column)) 100px`,
  };
  return (
    <div ref={scroller} className="@container/runs min-h-0 grow overflow-auto border-t">
      <table
        className="run-columns grid min-w-min"
        aria-rowcount={runs.total + 1}
        aria-label="Runs"
      >
        <thead className="sticky top-0 z-10 grid">
          <tr className="grid h-8 items-center border-b bg-page px-4 label" style={grid}>
            <th />
            <th />
            <SortHeader label="Name" sortKey="name" search={search} change={change} />
            <SortHeader label="State" sortKey="state" search={search} change={change} />
            <SortHeader
              label="Student from teacher"
              sortKey="student"
              search={search}
              change={change}
              className="@max-[1000px]/runs:hidden"
            />
            <SortHeader label="Step" sortKey="step" search={search} change={change} right />
            <th className="pl-4 text-left font-normal @max-[1060px]/runs:hidden">Curve</th>
            {columns.map((key) => (
              <SortHeader
                key={key}
                label={props.metrics?.get(key)?.title ?? key.split(".").at(-1) ?? key}
                hint={key}
                sortKey={key}
                better={props.metrics?.get(key)?.better}
                search={search}
                change={change}
                right
              />
            ))}
            <SortHeader label="Created" sortKey="created" search={search} change={change} right />
          </tr>
        </thead>
        <tbody className="relative block" style={{ height: rows.getTotalSize() }}>
          {items.map((item) => (
            <tr
              key={item.key}
              aria-rowindex={item.index + 2}
              aria-selected={search.selected?.includes(runs.row(item.index)?.run_id ?? "") ?? false}
              onMouseDown={() => props.onActive(item.index)}
              className={clsx(
                "absolute inset-x-0 grid h-8 items-center border-b px-4 hover:bg-hover aria-selected:bg-selected",
                item.index === active && "shadow-[inset_2px_0_0_var(--color-accent)]",
              )}
              style={{ ...grid, transform: `translateY(${item.start}px)` }}
            >
              <Cells
                run={runs.row(item.index)}
                columns={columns}
                selected={search.selected}
                change={change}
                metrics={props.metrics}
              />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellsProps {
  run: RunSummary | undefined;
  columns: readonly string[];
  selected: RunSearch["selected"];
  change: RunTableProps["change"];
  metrics: RunTableProps["metrics"];
}

/** Rows that stay on the screen while it scrolls are not made again. */
const Cells = memo(function Cells({ run, columns, selected, change, metrics }: CellsProps) {
  if (!run) {
    return (
      <td className="col-span-full">
        <Skeleton className="h-3 w-1/2" />
      </td>
    );
  }
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
        className="truncate pr-3 text-muted @max-[1000px]/runs:hidden"
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
        <Sparkline values={run.sparkline} label={`Divergence of ${run.name}`} />
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

interface SortHeaderProps {
  label: string;
  hint?: string;
  sortKey: string;
  better?: Metric["better"] | undefined;
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
  right?: boolean;
  className?: string;
}

function SortHeader({ label, sortKey, search, change, ...rest }: SortHeaderProps) {
  const { hint, better, right = false, className } = rest;
  const sort = search.sort ?? DEFAULT_SORT;
  const falling = sort === `-${sortKey}`;
  const rising = sort === sortKey;
  return (
    <th
      className={clsx("min-w-0 font-normal", right ? "text-right" : "text-left", className)}
      aria-sort={falling ? "descending" : rising ? "ascending" : "none"}
    >
      <button
        type="button"
        title={hint}
        onClick={() => change({ sort: nextSort(search.sort, sortKey, better) })}
        className="inline-flex max-w-full items-center gap-1 hover:text-ink"
      >
        <span className="truncate">{label}</span>
        {falling ? <ArrowDown className="size-3" aria-hidden /> : null}
        {rising ? <ArrowUp className="size-3" aria-hidden /> : null}
      </button>
    </th>
  );
}
