import { Link } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { useEffect, useState } from "react";
import { useWorkspace } from "@/api/workspace";
import { useOverlays } from "@/app/overlays";
import { formatDuration, formatMemory, formatNumber } from "@/components/format";
import { KeyHint } from "@/components/key-hint";
import { ProgressBar } from "@/components/progress-bar";
import { Tooltip } from "@/components/tooltip";
import { isAtWork, RunStateDot } from "@/features/runs/run-state";

export function TopBar() {
  const setPalette = useOverlays((overlays) => overlays.setPalette);
  return (
    <header className="flex h-12 shrink-0 items-center gap-3 border-b px-3">
      <Link to="/" className="w-39 truncate font-semibold tracking-tight">
        OnPolicyDistill
      </Link>
      <button
        type="button"
        onClick={() => setPalette(true)}
        className="flex h-8 w-full max-w-96 items-center gap-2 rounded-md border bg-sunken px-2 text-faint hover:border-line-strong"
      >
        <Search className="size-3.5" aria-hidden />
        <span className="truncate">Search runs and commands</span>
        <span className="ml-auto">
          <KeyHint keys="⌘ K" />
        </span>
      </button>
      <div className="ml-auto flex items-center gap-2">
        <Reconnected />
        <ActiveRunPill />
        <MemoryChip />
      </div>
    </header>
  );
}

const SHOWN_MS = 6000;

/** Says for a few seconds that the connection broke and is back. */
function Reconnected() {
  const at = useWorkspace((workspace) => workspace.reconnectedAt);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (at === null) {
      return;
    }
    setShown(true);
    const timer = setTimeout(() => setShown(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [at]);
  return (
    <span role="status" className="text-sm whitespace-nowrap text-good">
      {shown ? "Reconnected, nothing missed" : null}
    </span>
  );
}

function ActiveRunPill() {
  // A run started from the command line holds no slot and is at work all the same.
  const active = useWorkspace(({ queue, runs }) =>
    queue?.active
      ? runs[queue.active.run_id]
      : Object.values(runs).find((run) => isAtWork(run.state)),
  );
  const waiting = useWorkspace(({ queue }) => queue?.queue.length ?? 0);
  if (!active) {
    return null;
  }
  const share = active.num_steps ? active.step / active.num_steps : 0;
  return (
    <Link
      to="/runs/$runId"
      params={{ runId: active.run_id }}
      className="num flex h-8 max-w-80 items-center gap-2 rounded-md border px-2 hover:bg-hover"
    >
      <RunStateDot state={active.state} />
      <span className="truncate">{active.name}</span>
      <ProgressBar label={`Progress of ${active.name}`} share={share} className="w-14 shrink-0" />
      <span className="whitespace-nowrap">{Math.floor(share * 100)} %</span>
      {active.eta_seconds === null ? null : (
        <span className="whitespace-nowrap text-muted">{formatDuration(active.eta_seconds)}</span>
      )}
      {waiting > 0 ? <span className="whitespace-nowrap text-muted">+{waiting}</span> : null}
    </Link>
  );
}

function MemoryChip() {
  const system = useWorkspace((workspace) => workspace.system);
  if (!system) {
    return null;
  }
  const used = system.memory_total_gb - system.memory_available_gb;
  const share = used / system.memory_total_gb;
  const tone = share > 0.95 ? "bad" : share > 0.85 ? "warn" : "neutral";
  return (
    <Tooltip
      content={
        <span className="num">
          {formatMemory(system.memory_available_gb)} GB available, swap{" "}
          {formatNumber(system.swap_used_gb, 3)} GB, disk {formatNumber(system.disk_free_gb, 3)} GB
          free
        </span>
      }
    >
      <span className="num flex h-8 items-center gap-2 rounded-md border px-2 whitespace-nowrap">
        <ProgressBar label="Memory in use" share={share} tone={tone} className="w-10" />
        <span>
          {formatMemory(used)}
          <span className="text-faint"> / {formatMemory(system.memory_total_gb)} GB</span>
        </span>
      </span>
    </Tooltip>
  );
}
