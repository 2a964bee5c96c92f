import { useQueries, useQuery } from "@tanstack/react-query";
import clsx from "clsx";
import { metricCatalogue, metricHistory } from "@/api/metrics";
import type { RunSummary } from "@/api/types";
import { Chart } from "@/charts/chart";
import { Card } from "@/components/card";
import { formatNumber } from "@/components/format";
import { curveOf } from "@/features/curves/history-curve";

const OFFERED = [
  "eval_accuracy",
  "eval_loss",
  "eval_reverse_kl",
  "eval_off_policy_reverse_kl",
  "eval_agreement",
  "eval_off_policy_agreement",
];
const PX = 600;

/** What was held out, at every evaluation while the student learned. */
export function Trend({ run }: { run: RunSummary }) {
  const keys = OFFERED.filter((key) => key in run.metrics).slice(0, 2);
  const catalogue = useQuery(metricCatalogue()).data;
  const results = useQueries({
    queries: keys.map((key) => metricHistory(run.run_id, key, null, PX)),
  });
  const charts = keys.flatMap((key, place) => {
    const history = results[place]?.data;
    return history && history.num_points > 1 ? [{ key, history }] : [];
  });
  if (charts.length === 0) {
    return null;
  }
  return (
    <Card title="Over the checkpoints">
      <div className={clsx("grid gap-4", charts.length > 1 && "lg:grid-cols-2")}>
        {charts.map(({ key, history }) => {
          const metric = catalogue?.get(key);
          const isShare = metric?.unit === "share";
          return (
            <Chart
              key={key}
              title={metric?.title ?? key}
              unit={isShare ? "%" : (metric?.unit ?? "")}
              curves={[
                curveOf(history, {
                  label: metric?.title ?? key,
                  role: "evaluation",
                  axis: "step",
                  startTime: run.started ?? run.created,
                  sparse: true,
                }),
              ]}
              smoothing={0}
              log={false}
              height={180}
              compact
              syncKey="evaluate"
              range={null}
              onRange={() => undefined}
              formatX={formatNumber}
              formatY={isShare ? (value) => formatNumber(value * 100) : formatNumber}
            />
          );
        })}
      </div>
    </Card>
  );
}
