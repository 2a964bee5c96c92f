import { useQueries, useQuery } from "@tanstack/react-query";
import { Table2 } from "lucide-react";
import { useMemo } from "react";
import type { LiveRun } from "@/api/live-run";
import { metricCatalogue, metricHistory, runMarks } from "@/api/metrics";
import type { ChartedMetric, ChartMark, Metric, MetricHistory } from "@/api/types";
import { Chart } from "@/charts/chart";
import type { Curve } from "@/charts/curves";
import type { Mark, MarkKind } from "@/charts/marks";
import { Button } from "@/components/button";
import { download, toCsv } from "@/components/download";
import { formatDuration, formatNumber } from "@/components/format";
import { Skeleton } from "@/components/states";
import { useBoard } from "@/features/curves/chart-board";
import { curveOf, isExact, withTail, type XAxis, zoomTo } from "@/features/curves/history-curve";

interface MetricChartProps {
  runId: string;
  /** Keys that the run has measured; others are not asked for. */
  measured: ReadonlySet<string>;
  title?: string;
  metrics: readonly ChartedMetric[];
  live: LiveRun;
  isAtWork: boolean;
  startTime: number;
  height: number;
  compact?: boolean;
}

/** Buckets to ask for: a bucket every second pixel of a wide screen. */
const PX = { compact: 400, wide: 1000 };
/** The line of values above a chart, with its gap. */
const READOUT_PX = 24;
const REFETCH_MS = 20_000;

/** One chart of a run's metrics: the server's buckets, and the newest steps from the stream. */
export function MetricChart(props: MetricChartProps) {
  const { runId, measured, live, isAtWork, startTime, compact = false } = props;
  const metrics = props.metrics.filter(({ key }) => measured.has(key));
  const board = useBoard();
  const catalogue = useQuery(metricCatalogue()).data;
  const marks = useQuery(runMarks(runId)).data?.marks;
  const px = compact ? PX.compact : PX.wide;
  const results = useQueries({
    queries: metrics.map(({ key }) => ({
      ...metricHistory(runId, key, board.zoom?.steps ?? null, px),
      refetchInterval: isAtWork ? REFETCH_MS : (false as const),
    })),
  });
  const histories = results.map((result) => result.data);
  const curves = useCurves({ ...props, metrics }, histories, catalogue, board.axis);
  const chartMarks = useMemo(
    () => placeMarks(marks ?? [], board.axis, startTime, histories[0] ?? null),
    [marks, board.axis, startTime, histories[0]],
  );
  const first = props.metrics[0] && catalogue?.get(props.metrics[0].key);
  const title = props.title ?? first?.title ?? props.metrics[0]?.key ?? "";
  if (results.some((result) => result.isPending)) {
    return (
      <div style={{ height: props.height + READOUT_PX }}>
        <Skeleton className="h-full" />
      </div>
    );
  }
  if (curves.length === 0) {
    return <NotMeasured title={title} height={props.height} isAtWork={isAtWork} />;
  }
  const longest = histories.find((history) => history !== null && history !== undefined);
  return (
    <div className="group relative min-w-0">
      <Chart
        title={title}
        unit={first?.unit === "share" ? "%" : (first?.unit ?? "")}
        curves={curves}
        marks={compact ? NONE : chartMarks}
        smoothing={board.smoothing}
        log={board.log}
        height={props.height}
        compact={compact}
        syncKey={board.syncKey}
        range={board.zoom?.x ?? null}
        onRange={(range) =>
          board.setZoom(
            range && longest
              ? zoomTo(withTail(longest, live.steps), board.axis, startTime, range)
              : null,
          )
        }
        formatX={FORMAT_X[board.axis]}
        formatY={first?.unit === "share" ? formatShare : formatValue}
      />
      <Button
        size="sm"
        icon={<Table2 aria-hidden />}
        aria-label={`Save ${title} as CSV`}
        title="Save as CSV"
        className="!absolute top-6 right-0 opacity-0 group-focus-within:opacity-100 group-hover:opacity-100"
        onClick={() => saveTable(runId, histories)}
      />
    </div>
  );
}

const NONE: readonly Mark[] = [];
/** Measured now and then, and not with every step. */
const EVALUATED: ReadonlySet<ChartedMetric["role"]> = new Set(["evaluation", "shuffled", "blank"]);

interface NotMeasuredProps {
  title: string;
  height: number;
  isAtWork: boolean;
}

function NotMeasured({ title, height, isAtWork }: NotMeasuredProps) {
  return (
    <div className="flex flex-col text-sm" style={{ height: height + READOUT_PX }}>
      <span className="font-medium">{title}</span>
      <span className="m-auto text-faint">
        {isAtWork ? "Not measured yet" : "Not measured in this run"}
      </span>
    </div>
  );
}

function useCurves(
  { metrics, live, startTime }: MetricChartProps,
  histories: readonly (MetricHistory | null | undefined)[],
  catalogue: ReadonlyMap<string, Metric> | undefined,
  axis: XAxis,
): Curve[] {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is new each time, its parts are not
  return useMemo(
    () =>
      metrics.flatMap(({ key, role, label }, index) => {
        const history = histories[index];
        if (!history || history.num_points === 0) {
          return [];
        }
        const sparse = EVALUATED.has(role);
        return curveOf(sparse ? history : withTail(history, live.steps), {
          label: label ?? catalogue?.get(key)?.title ?? key,
          role,
          axis,
          startTime,
          sparse,
          exact: isExact(catalogue?.get(key)),
        });
      }),
    [...histories, live.steps, startTime, axis, catalogue],
  );
}

const KIND: Record<ChartMark["kind"], MarkKind> = {
  evaluation: "evaluation",
  checkpoint: "checkpoint",
  warning: "warning",
  resumed: "resumed",
  paused: "paused",
  finished: "end",
  failed: "end",
};

/** Marks carry no token count: on the token axis they stand where their step does. */
function placeMarks(
  marks: readonly ChartMark[],
  axis: XAxis,
  startTime: number,
  history: MetricHistory | null,
): Mark[] {
  const place = (mark: ChartMark) => {
    if (axis === "step") {
      return mark.step;
    }
    if (axis === "time") {
      return mark.time - startTime;
    }
    const index = history?.step.findLastIndex((step) => step <= mark.step) ?? -1;
    return index < 0 ? 0 : (history?.tokens[index] ?? 0);
  };
  return marks.map((mark) => ({ kind: KIND[mark.kind], x: place(mark), text: mark.text }));
}

function formatCompact(value: number): string {
  return value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 });
}

const FORMAT_X: Record<XAxis, (value: number) => string> = {
  step: (value) => formatNumber(value),
  time: (value) => (value === 0 ? "0" : formatDuration(value)),
  tokens: formatCompact,
};

function formatValue(value: number): string {
  return formatNumber(value, 4);
}

function formatShare(value: number): string {
  return formatNumber(value * 100, 4);
}

function saveTable(runId: string, histories: readonly (MetricHistory | null | undefined)[]): void {
  const header = ["metric", "step", "time", "tokens", "mean", "minimum", "maximum"];
  const rows = histories.flatMap((history) =>
    (history?.step ?? []).map((step, index) => [
      history?.key,
      step,
      history?.time[index],
      history?.tokens[index],
      history?.mean[index],
      history?.minimum[index],
      history?.maximum[index],
    ]),
  );
  download(`${runId} ${histories[0]?.key ?? "metric"}.csv`, toCsv(header, rows), "text/csv");
}
