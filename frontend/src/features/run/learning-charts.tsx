import clsx from "clsx";
import type { LiveRun } from "@/api/live-run";
import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { ChartBoard } from "@/features/curves/chart-board";
import { MetricChart } from "@/features/run/metric-chart";
import { ProofTable } from "@/features/run/proof-badge";
import type { RunFace } from "@/features/run/run-face";
import { isAtWork } from "@/features/runs/run-state";

const TITLES: Record<string, string> = {
  tokens_per_second: "Speed",
  step_seconds: "Time of a step",
};
const PROVES = "grid gap-3 xl:grid-cols-[minmax(0,1fr)_400px]";

interface LearningChartsProps {
  face: RunFace;
  main: NonNullable<RunFace["main"]>;
  detail: RunDetail;
  live: LiveRun;
}

/** The curve that matters large, the others below; a proof that failed stands beside it. */
export function LearningCharts({ face, main, detail, live }: LearningChartsProps) {
  const { run } = detail;
  const latest = live.steps.at(-1)?.metrics ?? {};
  // One that passed is a line in the run's header, which opens.
  const hasFailed = face.proves && run.proof_passed === false;
  const chart = {
    measured: new Set([...Object.keys(run.metrics), ...Object.keys(latest)]),
    runId: run.run_id,
    live,
    isAtWork: isAtWork(run.state),
    startTime: run.started ?? run.created,
  };
  const small = face.small.filter((metrics) => metrics.some(({ key }) => chart.measured.has(key)));
  return (
    <ChartBoard syncKey={run.run_id}>
      {(controls) => (
        <>
          <div className={hasFailed ? PROVES : undefined}>
            <Card title={main.title} actions={controls}>
              <MetricChart
                {...chart}
                title={main.name}
                metrics={main.metrics}
                height={hasFailed ? 420 : 320}
              />
            </Card>
            {hasFailed ? <Proof detail={detail} /> : null}
          </div>
          <div className="grid grid-cols-1 gap-x-6 gap-y-4 rounded-lg border bg-surface p-3 md:grid-cols-2 xl:grid-cols-3">
            {small.map((metrics) => {
              const title = TITLES[metrics[0]?.key ?? ""];
              const isWide = metrics.filter(({ key }) => chart.measured.has(key)).length > 2;
              return (
                <div key={metrics[0]?.key} className={clsx("min-w-0", isWide && "md:col-span-2")}>
                  <MetricChart
                    {...chart}
                    {...(title ? { title } : {})}
                    metrics={metrics}
                    height={132}
                    compact
                  />
                </div>
              );
            })}
          </div>
        </>
      )}
    </ChartBoard>
  );
}

function Proof({ detail }: { detail: RunDetail }) {
  return (
    <Card title="Proof of learning">
      <ProofTable checks={detail.self_test} />
    </Card>
  );
}
