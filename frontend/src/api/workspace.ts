/** The workspace as its stream tells it: queue, machine, runs; and the caches it keeps right. */
import { create } from "zustand";
import { queryClient } from "@/api/query-client";
import { type ConnectionState, followWorkspace } from "@/api/run-events";
import type {
  Download,
  QueueView,
  RunDetail,
  RunSummary,
  SystemFigures,
  WorkspaceMessage,
} from "@/api/types";

interface Workspace {
  connection: ConnectionState;
  /** When the stream came back after a break, in ms of `Date.now()`; the top bar shows it. */
  reconnectedAt: number | null;
  queue: QueueView | null;
  system: SystemFigures | null;
  runs: Readonly<Record<string, RunSummary>>;
}

export const useWorkspace = create<Workspace>(() => ({
  connection: "connecting",
  reconnectedAt: null,
  queue: null,
  system: null,
  runs: {},
}));

/** Follows the workspace until stopped; call it once. */
export function openWorkspace(): () => void {
  return followWorkspace({ onMessage: hear, onState: changeConnection });
}

function changeConnection(next: ConnectionState): void {
  const { connection } = useWorkspace.getState();
  if (next === connection) {
    return;
  }
  const isBack = next === "live" && connection === "reconnecting";
  useWorkspace.setState(
    isBack ? { connection: next, reconnectedAt: Date.now() } : { connection: next },
  );
  if (isBack) {
    // What was missed while away is asked for again.
    void queryClient.invalidateQueries();
  }
}

function hear(message: WorkspaceMessage): void {
  switch (message.kind) {
    case "queue":
      learnQueue(message.queue);
      break;
    case "system":
      useWorkspace.setState({ system: message.system });
      break;
    case "run":
      learnRun(message.run);
      break;
    case "downloads":
      learnDownloads(message.downloads);
      break;
    case "removed":
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
      break;
  }
}

/** Whether a question can be answered hangs on who has the GPU. */
function learnQueue(queue: QueueView): void {
  const before = useWorkspace.getState().queue;
  useWorkspace.setState({ queue });
  if (before?.active?.run_id !== queue.active?.run_id) {
    void queryClient.invalidateQueries({ queryKey: ["playground"] });
  }
}

/** Puts the downloads where they are shown; one that has ended brought or took a model. */
export function learnDownloads(downloads: Download[]): void {
  const known = queryClient.getQueryData<Download[]>(["downloads"]) ?? [];
  const wasRunning = new Set(known.filter(isRunning).map(({ id }) => id));
  queryClient.setQueryData(["downloads"], downloads);
  if (downloads.some((download) => wasRunning.has(download.id) && !isRunning(download))) {
    void queryClient.invalidateQueries({ queryKey: ["models"] });
    void queryClient.invalidateQueries({ queryKey: ["hub"] });
  }
}

function isRunning(download: Download): boolean {
  return download.state === "running";
}

/** Puts a run's entry wherever it is shown; asks lists again when they do not have it yet. */
export function learnRun(run: RunSummary): void {
  const known = useWorkspace.getState().runs[run.run_id];
  useWorkspace.setState(({ runs }) => ({ runs: { ...runs, [run.run_id]: run } }));
  let isListed = false;
  queryClient.setQueriesData<RunPageData>({ queryKey: ["runs", "page"] }, (page) => {
    if (!page?.runs.some((other) => other.run_id === run.run_id)) {
      return page;
    }
    isListed = true;
    return { ...page, runs: page.runs.map((other) => replaceRun(other, run)) };
  });
  queryClient.setQueryData<RunDetail>(["run", run.run_id, "detail"], (detail) =>
    detail ? { ...detail, run } : detail,
  );
  if (!isListed || known?.state !== run.state) {
    void queryClient.invalidateQueries({ queryKey: ["runs", "page"] });
  }
  if (known?.state !== run.state) {
    // It may be a stage's; a pipeline has no message of its own.
    void queryClient.invalidateQueries({ queryKey: ["pipelines"] });
  }
  if (known && known.state !== run.state) {
    void queryClient.invalidateQueries({ queryKey: ["run", run.run_id] });
  }
}

type RunPageData = { runs: RunSummary[]; total: number; offset: number };

/** The stream does not know which columns a list asked for: those stay. */
function replaceRun(old: RunSummary, run: RunSummary): RunSummary {
  return old.run_id === run.run_id ? { ...run, columns: old.columns } : old;
}
