import { Link } from "@tanstack/react-router";
import type { Comparison } from "@/api/types";
import { roleColor } from "@/charts/colors";
import { Card } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { type ComparedMetric, unitOf, valueText } from "@/features/compare/measured";

interface LastValuesProps {
  title: string;
  data: Comparison;
  metrics: readonly ComparedMetric[];
}

/** A row a metric, a column a run, differences to the first run beside. */
export function LastValues({ title, data, metrics }: LastValuesProps) {
  if (metrics.length === 0) {
    return null;
  }
  return (
    <Card title={title} flush>
      <CompareTable data={data} head="Metric">
        {metrics.map((metric) => (
          <tr key={metric.key} className="num h-8 border-t">
            <th className="px-3 text-left font-normal text-muted" title={metric.key}>
              {metric.title} <span className="text-faint">{unitOf(metric)}</span>
            </th>
            {metric.values.map((value, index) => (
              <td key={data.runs[index]?.run_id} className="px-3 whitespace-nowrap">
                {valueText(value?.after, metric.unit)}
                {value?.after_interval ? (
                  <span className="ml-2 text-sm text-faint">
                    {intervalText(value.after_interval, metric.unit)}
                  </span>
                ) : null}
                {index > 0 ? <Delta metric={metric} index={index} /> : null}
              </td>
            ))}
          </tr>
        ))}
      </CompareTable>
    </Card>
  );
}

interface CompareTableProps {
  data: Comparison;
  head: string;
  children: React.ReactNode;
}

export function CompareTable({ data, head, children }: CompareTableProps) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full">
        <thead>
          <tr className="h-8">
            <th className="label w-64 px-3 text-left font-normal">{head}</th>
            {data.runs.map((run, place) => (
              <th key={run.run_id} className="px-3 text-left font-medium">
                <span className="flex items-center gap-2">
                  <span
                    aria-hidden
                    className="size-2 shrink-0 rounded-full"
                    style={{ background: roleColor(place) }}
                  />
                  <Link
                    to="/runs/$runId"
                    params={{ runId: run.run_id }}
                    className="max-w-56 truncate hover:underline"
                  >
                    {run.name}
                  </Link>
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** Green where the difference is for the better, red where it is for the worse. */
function Delta({ metric, index }: { metric: ComparedMetric; index: number }) {
  const delta = metric.deltas[index];
  if (delta === null || delta === undefined || delta === 0) {
    return null;
  }
  const gain = metric.gains[index] ?? 0;
  const tone = gain === 0 ? "text-muted" : gain > 0 ? "text-good" : "text-bad";
  const size =
    metric.unit === "share" ? formatPercent(Math.abs(delta)) : formatNumber(Math.abs(delta), 3);
  return (
    <span className={`ml-2 text-sm ${tone}`}>
      {delta > 0 ? "+" : "\u2212"}
      {size}
    </span>
  );
}
