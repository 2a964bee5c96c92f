import type { LiveRun } from "@/api/live-run";
import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { Alarms, LatestAlarm } from "@/features/run/alarms";
import { ChartBoard } from "@/features/run/chart-board";
import { Ending } from "@/features/run/ending";
import { LiveStrip } from "@/features/run/live-strip";
import { type ChartedMetric, MetricChart } from "@/features/run/metric-chart";
import { Notes } from "@/features/run/notes";
import { ProofTable } from "@/features/run/proof-badge";
import { ReportCard } from "@/features/run/report-card";
import { RolloutStream } from "@/features/run/rollout-stream";
import { TimeSplit } from "@/features/run/time-split";
import { isAtWork } from "@/features/runs/run-state";

interface OverviewProps {
  detail: RunDetail;
  live: LiveRun;
}

const DIVERGENCE: readonly ChartedMetric[] = [
  { key: "divergence", role: "student", label: "Training" },
  { key: "eval_reverse_kl", role: "evaluation", label: "Held-out reverse KL" },
];

const SMALL: readonly (readonly ChartedMetric[])[] = [
  [{ key: "loss", role: "student" }],
  [
    { key: "agreement", role: "student", label: "Rollouts" },
    { key: "eval_agreement", role: "evaluation", label: "Held out" },
  ],
  [{ key: "entropy", role: "student" }],
  [{ key: "grad_norm", role: "student" }],
  [{ key: "completion_tokens", role: "student" }],
  [{ key: "truncated_share", role: "student" }],
  [{ key: "tokens_per_second", role: "student" }],
  [{ key: "peak_memory_gb", role: "student" }],
  [{ key: "teacher_cache_hit_rate", role: "teacher" }],
];

const TITLES: Record<string, string> = { tokens_per_second: "Speed" };

export function Overview({ detail, live }: OverviewProps) {
  const { run } = detail;
  const atWork = isAtWork(run.state);
  const startTime = run.started ?? run.created;
  const latest = live.steps.at(-1)?.metrics ?? {};
  const measured = new Set([...Object.keys(run.metrics), ...Object.keys(latest)]);
  const chart = { measured, runId: run.run_id, live, isAtWork: atWork, startTime };
  return (
    <div className="flex flex-col gap-3 p-4">
      <Ending detail={detail} />
      {atWork ? <LiveStrip run={live.run ?? run} live={live} /> : null}
      {atWork ? <LatestAlarm alarms={live.alarms} /> : null}
      {run.metrics["eval_reverse_kl"] || !atWork ? <ReportCard detail={detail} /> : null}
      <ChartBoard syncKey={run.run_id}>
        {(controls) => (
          <>
            <div className="grid gap-3 xl:grid-cols-[minmax(0,1fr)_400px]">
              <Card title="Divergence from the teacher" actions={controls}>
                <MetricChart {...chart} title="Divergence" metrics={DIVERGENCE} height={420} />
              </Card>
              <Card title="Proof of learning">
                {detail.self_test.length === 0 ? (
                  <p className="text-muted">
                    Every run first proves that it can learn: the models differ, gradients flow, the
                    adapter moves and nothing else does. The result appears here.
                  </p>
                ) : (
                  <ProofTable checks={detail.self_test} />
                )}
              </Card>
            </div>
            <div className="grid grid-cols-1 gap-x-6 gap-y-4 rounded-lg border bg-surface p-3 md:grid-cols-2 xl:grid-cols-3">
              {SMALL.map((metrics) => {
                const title = TITLES[metrics[0]?.key ?? ""];
                return (
                  <MetricChart
                    key={metrics[0]?.key}
                    {...chart}
                    {...(title ? { title } : {})}
                    metrics={metrics}
                    height={132}
                    compact
                  />
                );
              })}
            </div>
          </>
        )}
      </ChartBoard>
      <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_360px]">
        <RolloutStream runId={run.run_id} live={live} />
        <div className="flex flex-col gap-3">
          <TimeSplit run={run} latest={latest} />
          <Alarms runId={run.run_id} alarms={live.alarms} />
          <Notes key={run.run_id} run={run} />
        </div>
      </div>
    </div>
  );
}
