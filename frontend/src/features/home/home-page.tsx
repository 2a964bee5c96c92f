import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { presets } from "@/api/planning";
import { describeError } from "@/api/problem";
import { runPage } from "@/api/runs";
import type { RunSummary, SystemFigures } from "@/api/types";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { Card, Figure } from "@/components/card";
import { formatAgo, formatDuration, formatNumber, formatPercent } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { ProgressBar } from "@/components/progress-bar";
import { Sparkline } from "@/components/sparkline";
import { EmptyState, ErrorState, Notice, Skeleton, SkeletonRows } from "@/components/states";
import { useDraft } from "@/features/new-run/draft";
import { QueueList } from "@/features/runs/queue-list";
import { isAtWork, RunStateBadge, RunStateDot } from "@/features/runs/run-state";

const SHOWN = 8;

export function HomePage() {
  const recent = useQuery(runPage({ limit: SHOWN }));
  const { queue, system, runs } = useWorkspace();
  const active = queue?.active
    ? runs[queue.active.run_id]
    : Object.values(runs).find((run) => isAtWork(run.state));
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Home"
        actions={
          <Link to="/new">
            <Button look="primary">New run</Button>
          </Link>
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        <Warnings system={system} blocked={queue?.blocked ?? null} />
        <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_360px]">
          <div className="flex min-w-0 flex-col gap-3">
            {active ? <ActiveRun run={active} /> : null}
            <Card
              title="Last runs"
              flush
              actions={
                <Link to="/runs" className="px-1 text-sm text-accent hover:underline">
                  Show all
                </Link>
              }
            >
              {recent.isPending ? (
                <SkeletonRows count={SHOWN} />
              ) : recent.data ? (
                <LastRuns runs={recent.data.runs} />
              ) : (
                <ErrorState
                  title={describeError(recent.error).title}
                  reason={describeError(recent.error).reason}
                  retry={() => void recent.refetch()}
                />
              )}
            </Card>
          </div>
          <div className="flex flex-col gap-3">
            <StartFrom />
            <Machine system={system} />
            <Card title="Queue" flush>
              <QueueList />
            </Card>
          </div>
        </div>
      </div>
    </div>
  );
}

interface WarningsProps {
  system: SystemFigures | null;
  blocked: string | null;
}

const LOW_DISK_GB = 10;
const LOW_MEMORY_SHARE = 0.08;

function Warnings({ system, blocked }: WarningsProps) {
  const isDiskLow = system !== null && system.disk_free_gb < LOW_DISK_GB;
  const isMemoryLow =
    system !== null && system.memory_available_gb / system.memory_total_gb < LOW_MEMORY_SHARE;
  return (
    <>
      {blocked ? (
        <Notice tone="warn" title="The next run waits">
          {blocked}
        </Notice>
      ) : null}
      {isDiskLow ? (
        <Notice tone="warn" title="The disk is nearly full">
          {formatNumber(system.disk_free_gb, 3)} GB are free; a run with a small adapter needs a
          few. Delete runs you do not need, or move the workspace.
        </Notice>
      ) : null}
      {isMemoryLow ? (
        <Notice tone="warn" title="Memory is scarce">
          {formatNumber(system.memory_available_gb, 3)} GB are available. Close other programs
          before you start a run; macOS ends the largest process first.
        </Notice>
      ) : null}
    </>
  );
}

function ActiveRun({ run }: { run: RunSummary }) {
  const share = run.num_steps ? run.step / run.num_steps : 0;
  const kl = run.metrics["divergence"];
  return (
    <Card
      title={
        <span className="flex items-center gap-2">
          <Link
            to="/runs/$runId"
            params={{ runId: run.run_id }}
            className="truncate hover:underline"
          >
            {run.name}
          </Link>
          <RunStateBadge state={run.state} />
        </span>
      }
      actions={
        <Link to="/runs/$runId" params={{ runId: run.run_id }}>
          <Button size="sm">Watch</Button>
        </Link>
      }
    >
      <div className="grid grid-cols-4 gap-6">
        <Figure label="Step" value={run.step} unit={`of ${run.num_steps ?? "?"}`} />
        <Figure label="Time left" value={formatDuration(run.eta_seconds)} />
        <Figure
          label="Divergence"
          value={formatNumber(kl?.last)}
          unit={kl ? "nats/token" : undefined}
        />
        <Sparkline
          values={run.sparkline}
          label={`Divergence of ${run.name}`}
          width={180}
          height={40}
        />
      </div>
      <ProgressBar label="Progress" share={share} className="mt-3" />
    </Card>
  );
}

function LastRuns({ runs }: { runs: readonly RunSummary[] }) {
  if (runs.length === 0) {
    return (
      <EmptyState
        title="Nothing has been distilled here yet"
        action={
          <Link to="/new">
            <Button look="primary">Plan the first run</Button>
          </Link>
        }
      >
        Choose a teacher, a student and a file of prompts. You will see before you start whether
        both models fit into this machine.
      </EmptyState>
    );
  }
  return (
    <ul className="divide-y">
      {runs.map((run) => (
        <li key={run.run_id}>
          <Link
            to="/runs/$runId"
            params={{ runId: run.run_id }}
            className="grid h-8 grid-cols-[minmax(0,1.4fr)_96px_minmax(0,1fr)_104px_112px_80px] items-center gap-3 px-3 hover:bg-hover"
          >
            <span className="truncate font-medium">{run.name}</span>
            <span className="flex items-center gap-2">
              <RunStateDot state={run.state} />
              {run.state}
            </span>
            <span className="truncate text-muted">
              {run.student}
              {run.teacher ? ` from ${run.teacher}` : ""}
            </span>
            <Sparkline values={run.sparkline} label={`Divergence of ${run.name}`} />
            <span className="num text-right">{agreementText(run)}</span>
            <span className="num text-right text-muted">{formatAgo(run.created)}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function agreementText(run: RunSummary) {
  const agreement = run.metrics["eval_agreement"]?.last;
  return agreement === undefined ? (
    <span className="text-faint">–</span>
  ) : (
    <>
      {formatPercent(agreement)} <span className="text-faint">% agree</span>
    </>
  );
}

/** The shipped presets, as one click into a planned run. */
function StartFrom() {
  const list = useQuery(presets()).data ?? [];
  const take = useDraft((draft) => draft.take);
  const navigate = useNavigate();
  return (
    <Card title="Start from" flush>
      <ul className="divide-y">
        {list.slice(0, 3).map((preset) => (
          <li key={preset.name}>
            <button
              type="button"
              onClick={() => {
                take(preset);
                void navigate({ to: "/new/$step", params: { step: "models" } });
              }}
              className="w-full px-3 py-2 text-left hover:bg-hover"
            >
              <span className="font-medium">{preset.title}</span>
              <span className="line-clamp-2 text-sm text-muted">{preset.description}</span>
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Machine({ system }: { system: SystemFigures | null }) {
  if (!system) {
    return <Skeleton className="h-36" />;
  }
  const memory = system.memory_total_gb - system.memory_available_gb;
  const disk = system.disk_total_gb - system.disk_free_gb;
  return (
    <Card title="This machine">
      <Meter label="Memory" used={memory} total={system.memory_total_gb} low={0.85} />
      <Meter label="Disk of the workspace" used={disk} total={system.disk_total_gb} low={0.95} />
      <p className="num mt-2 text-sm text-muted">
        Processor {formatNumber(system.cpu_percent, 2)} %, swap{" "}
        {formatNumber(system.swap_used_gb, 2)} GB
        {system.worker_memory_gb === null
          ? ""
          : `, the run's process ${formatNumber(system.worker_memory_gb, 3)} GB`}
      </p>
    </Card>
  );
}

interface MeterProps {
  label: string;
  used: number;
  total: number;
  low: number;
}

function Meter({ label, used, total, low }: MeterProps) {
  const share = used / total;
  return (
    <div className="mb-2">
      <div className="num flex justify-between">
        <span>{label}</span>
        <span>
          {formatNumber(used, 3)} <span className="text-faint">of {formatNumber(total, 3)} GB</span>
        </span>
      </div>
      <ProgressBar label={label} share={share} tone={share > low ? "warn" : "accent"} />
    </div>
  );
}
