import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { metricCatalogue, metricHistory } from "@/api/metrics";
import type { RunSummary } from "@/api/types";
import { Chart } from "@/charts/chart";
import { Card } from "@/components/card";
import { formatDuration, formatNumber } from "@/components/format";
import { ChartBoard, useBoard } from "@/features/curves/chart-board";
import { curveOf, isExact, zoomTo } from "@/features/curves/history-curve";

const OFFERED = [
  "eval_reverse_kl",
  "eval_off_policy_reverse_kl",
  "divergence",
  "eval_agreement",
  "eval_accuracy",
  "eval_off_policy_agreement",
  "loss",
  "tokens_per_second",
];
const PX = 600;

interface ComparedChartsProps {
  runs: readonly RunSummary[];
  /** One narrow column, as beside the list of runs. */
  beside?: boolean;
}

/** The same metric of all runs in one chart, each run in its colour. */
export function ComparedCharts({ runs, beside = false }: ComparedChartsProps) {
  const measured = OFFERED.filter((key) => runs.some((run) => key in run.metrics)).slice(0, 4);
  return (
    <ChartBoard syncKey="compare">
      {(controls) => {
        const charts = measured.map((key) => (
          <ComparedChart key={key} runs={runs} metricKey={key} height={beside ? 150 : 220} />
        ));
        return beside ? (
          <div className="flex flex-col gap-4">
            {controls}
            {charts}
          </div>
        ) : (
          <Card title="Curves" actions={controls}>
            <div className="grid gap-x-6 gap-y-4 lg:grid-cols-2">{charts}</div>
          </Card>
        );
      }}
    </ChartBoard>
  );
}

interface ComparedChartProps {
  runs: readonly RunSummary[];
  metricKey: string;
  height: number;
}

function ComparedChart({ runs, metricKey, height }: ComparedChartProps) {
  const board = useBoard();
  const metric = useQuery(metricCatalogue()).data?.get(metricKey);
  const results = useQueries({
    queries: runs.map((run) => ({
      ...metricHistory(run.run_id, metricKey, board.zoom?.steps ?? null, PX),
      enabled: metricKey in run.metrics,
    })),
  });
  const histories = results.map((result) => result.data);
  const sparse = metricKey.startsWith("eval_");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is new each time, its parts are not
  const curves = useMemo(
    () =>
      runs.flatMap((run, place) => {
        const history = histories[place];
        return history
          ? curveOf(history, {
              label: run.name,
              role: place,
              axis: board.axis,
              startTime: run.started ?? run.created,
              sparse,
              exact: isExact(metric),
            })
          : [];
      }),
    [...histories, runs, board.axis, sparse, metric],
  );
  const longest = histories.reduce((best, next) =>
    (next?.step.at(-1) ?? 0) > (best?.step.at(-1) ?? 0) ? next : best,
  );
  const isShare = metric?.unit === "share";
  return (
    <Chart
      title={metric?.title ?? metricKey}
      unit={isShare ? "%" : (metric?.unit ?? "")}
      curves={curves}
      smoothing={board.smoothing}
      log={board.log}
      height={height}
      compact
      // The legend above all of them names the runs: beside the values there is no room for it.
      named={false}
      syncKey={board.syncKey}
      range={board.zoom?.x ?? null}
      onRange={(range) =>
        board.setZoom(range && longest ? zoomTo(longest, board.axis, 0, range) : null)
      }
      formatX={board.axis === "time" ? formatDuration : formatNumber}
      formatY={isShare ? formatShare : formatNumber}
    />
  );
}

function formatShare(value: number): string {
  return formatNumber(value * 100);
}
