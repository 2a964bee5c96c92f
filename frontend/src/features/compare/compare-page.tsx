import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { describeError } from "@/api/problem";
import { comparison } from "@/api/runs";
import type { Comparison } from "@/api/types";
import { roleColor } from "@/charts/colors";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { download, toCsv } from "@/components/download";
import { formatNumber, formatPercent } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { ComparedCharts } from "@/features/compare/compared-charts";
import { SamePrompts } from "@/features/compare/same-prompts";
import { RunStateBadge } from "@/features/runs/run-state";

export function ComparePage() {
  const { run: runIds = [] } = useSearch({ from: "/compare" });
  const query = useQuery({ ...comparison(runIds), enabled: runIds.length >= 2 });
  if (runIds.length < 2) {
    return (
      <EmptyState
        title="Choose two to eight runs"
        action={
          <ButtonLink to="/runs" look="primary">
            Open the runs
          </ButtonLink>
        }
      >
        Select runs in the list with their boxes or with X, then press Compare.
      </EmptyState>
    );
  }
  if (query.isPending) {
    return <SkeletonRows count={12} />;
  }
  if (!query.data) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  return <Compared data={query.data} />;
}

function Compared({ data }: { data: Comparison }) {
  const rows = useMemo(() => data.metrics.filter((metric) => metric.values.some(Boolean)), [data]);
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Compare"
        detail={`${data.runs.length} runs; differences are to the first`}
        actions={
          <>
            <Button onClick={() => saveTable(data)}>Save as CSV</Button>
            <Button onClick={() => saveJson(data)}>Save as JSON</Button>
          </>
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        <ComparedCharts runs={data.runs} />
        <Card title="Runs" flush>
          <CompareTable data={data} head="">
            <tr className="h-8 border-t">
              <th className="px-3 text-left font-normal text-muted">State</th>
              {data.runs.map((run) => (
                <td key={run.run_id} className="px-3">
                  <RunStateBadge state={run.state} />
                </td>
              ))}
            </tr>
            <tr className="num h-8 border-t">
              <th className="px-3 text-left font-normal text-muted">Step</th>
              {data.runs.map((run) => (
                <td key={run.run_id} className="px-3">
                  {run.step} <span className="text-faint">/ {run.num_steps ?? "–"}</span>
                </td>
              ))}
            </tr>
          </CompareTable>
        </Card>
        <Card title="Settings that differ" flush>
          {data.settings.length === 0 ? (
            <p className="p-3 text-muted">All settings are equal.</p>
          ) : (
            <CompareTable data={data} head="Setting">
              {data.settings.map((setting) => (
                <tr key={setting.key} className="num h-8 border-t">
                  <th className="px-3 text-left font-normal text-muted">{setting.key}</th>
                  {setting.values.map((value, index) => (
                    <td key={data.runs[index]?.run_id} className="max-w-64 truncate px-3">
                      {value === null ? <span className="text-faint">–</span> : String(value)}
                    </td>
                  ))}
                </tr>
              ))}
            </CompareTable>
          )}
        </Card>
        <Card title="Last values" flush>
          <CompareTable data={data} head="Metric">
            {rows.map((metric) => (
              <tr key={metric.key} className="num h-8 border-t">
                <th className="px-3 text-left font-normal text-muted" title={metric.key}>
                  {metric.title} <span className="text-faint">{metric.unit}</span>
                </th>
                {metric.values.map((value, index) => (
                  <td key={data.runs[index]?.run_id} className="px-3 whitespace-nowrap">
                    {valueText(value?.last, metric.unit)}
                    {index > 0 ? <Delta metric={metric} index={index} /> : null}
                  </td>
                ))}
              </tr>
            ))}
          </CompareTable>
        </Card>
        <SamePrompts runs={data.runs} />
      </div>
    </div>
  );
}

interface CompareTableProps {
  data: Comparison;
  head: string;
  children: React.ReactNode;
}

function CompareTable({ data, head, children }: CompareTableProps) {
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

type ComparedMetric = Comparison["metrics"][number];

function valueText(value: number | undefined, unit: string): string {
  return unit === "share" ? formatPercent(value) : formatNumber(value);
}

/** Green where the difference is for the better, red where it is for the worse. */
function Delta({ metric, index }: { metric: ComparedMetric; index: number }) {
  const delta = metric.deltas[index];
  if (delta === null || delta === undefined || delta === 0) {
    return null;
  }
  const isBetter = metric.better === "lower" ? delta < 0 : delta > 0;
  const tone = metric.better === "neither" ? "text-muted" : isBetter ? "text-good" : "text-bad";
  const size =
    metric.unit === "share" ? formatPercent(Math.abs(delta)) : formatNumber(Math.abs(delta), 3);
  return (
    <span className={`ml-2 text-sm ${tone}`}>
      {delta > 0 ? "+" : "\u2212"}
      {size}
    </span>
  );
}

function saveTable(data: Comparison): void {
  const header = ["key", ...data.runs.map((run) => run.run_id)];
  const settings = data.settings.map((setting) => [setting.key, ...setting.values]);
  const metrics = data.metrics.map((metric) => [
    metric.key,
    ...metric.values.map((value) => value?.last ?? null),
  ]);
  download("comparison.csv", toCsv(header, [...settings, ...metrics]), "text/csv");
}

function saveJson(data: Comparison): void {
  download("comparison.json", `${JSON.stringify(data, null, 1)}\n`, "application/json");
}
