import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { runKinds } from "@/api/methods";
import { describeError } from "@/api/problem";
import { comparison } from "@/api/runs";
import type { Comparison } from "@/api/types";
import { roleColor } from "@/charts/colors";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { download, toCsv } from "@/components/download";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, Notice, SkeletonRows } from "@/components/states";
import { parted, settingText, whatDoesNotCompare } from "@/features/compare/measured";
import { SamePrompts } from "@/features/compare/same-prompts";
import { CompareTable, LastValues } from "@/features/compare/tables";
import { ComparedCharts } from "@/features/curves/compared-charts";
import { type KeyName, useKeyName } from "@/features/runs/key-names";
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
  const [heldOut, inTraining] = useMemo(() => parted(data), [data]);
  const name = useKeyName();
  const kinds = useQuery(runKinds()).data ?? [];
  const caution = whatDoesNotCompare(data, name);
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Compare"
        detail={`${data.runs.length} runs; differences are to the first`}
        actions={
          <>
            <Button onClick={() => saveTable(data, name)}>Save as CSV</Button>
            <Button onClick={() => saveJson(data)}>Save as JSON</Button>
          </>
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {caution.map((words) => (
          <Notice key={words} tone="warn" title={words} />
        ))}
        <Legend runs={data.runs} />
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
                  <th className="px-3 text-left font-normal text-muted">
                    <span title={setting.key}>{name(setting.key)}</span>
                  </th>
                  {setting.values.map((value, index) => (
                    <td key={data.runs[index]?.run_id} className="max-w-64 truncate px-3">
                      {value === null ? (
                        <span className="text-faint">–</span>
                      ) : (
                        settingText(setting.key, value, kinds)
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </CompareTable>
          )}
        </Card>
        <LastValues
          title="Held out, of what is exported, with 95 % intervals"
          data={data}
          metrics={heldOut}
        />
        <LastValues title="In training, last values" data={data} metrics={inTraining} />
        <SamePrompts runs={data.runs} />
      </div>
    </div>
  );
}

/** Which line is whose. */
function Legend({ runs }: { runs: Comparison["runs"] }) {
  return (
    <ul aria-label="Colours of the runs" className="flex flex-wrap gap-x-4 gap-y-1">
      {runs.map((run, place) => (
        <li key={run.run_id} className="flex min-w-0 items-center gap-1.5">
          <span
            aria-hidden
            className="h-0.5 w-4 shrink-0"
            style={{ background: roleColor(place) }}
          />
          <span className="truncate" title={run.name}>
            {run.name}
          </span>
        </li>
      ))}
    </ul>
  );
}

function saveTable(data: Comparison, name: KeyName): void {
  const header = ["key", "name", ...data.runs.map((run) => run.name)];
  const ids = ["run_id", "Run id", ...data.runs.map((run) => run.run_id)];
  const settings = data.settings.map(({ key, values }) => [key, name(key), ...values]);
  const metrics = data.metrics.map((metric) => [
    metric.key,
    metric.title,
    ...metric.values.map((value) => value?.after ?? null),
  ]);
  const intervals = data.metrics
    .filter((metric) => metric.values.some((value) => value?.after_interval))
    .flatMap((metric) =>
      (["low", "high"] as const).map((end) => [
        `${metric.key} ${end}`,
        `${metric.title}, ${end} end of the 95 % interval`,
        ...metric.values.map((value) => value?.after_interval?.[end] ?? null),
      ]),
    );
  download(
    "comparison.csv",
    toCsv(header, [ids, ...settings, ...metrics, ...intervals]),
    "text/csv",
  );
}

function saveJson(data: Comparison): void {
  download("comparison.json", `${JSON.stringify(data, null, 1)}\n`, "application/json");
}
