import { useMutation } from "@tanstack/react-query";
import { toast } from "sonner";
import { describeError, isMemoryInUse } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import {
  annotateRun,
  deleteRun,
  dequeueRun,
  killRun,
  pauseRun,
  restoreRun,
  resumeRun,
  startRun,
  stopRun,
} from "@/api/runs";
import type { AnnotationChange, RunState, RunSummary } from "@/api/types";
import { learnRun } from "@/api/workspace";

export type RunVerb = "start" | "resume" | "pause" | "stop" | "kill" | "dequeue";

const VERBS: Record<RunVerb, (runId: string, anyway: boolean) => Promise<RunSummary | null>> = {
  start: startRun,
  resume: resumeRun,
  pause: pauseRun,
  stop: stopRun,
  kill: killRun,
  dequeue: async (runId: string) => {
    await dequeueRun(runId);
    return null;
  },
};

/** What can be done to a run in a state. */
export function verbsFor(state: RunState): readonly RunVerb[] {
  switch (state) {
    case "created":
      return ["start"];
    case "queued":
      return ["dequeue"];
    case "running":
    case "starting":
      return ["pause", "stop", "kill"];
    case "stopping":
      return ["kill"];
    case "paused":
    case "interrupted":
    case "failed":
      return ["resume"];
    default:
      return [];
  }
}

/** What the pause key does: it pauses a run at work, and lets another go on. */
export function pauseOrResume(state: RunState): RunVerb | undefined {
  return verbsFor(state).find((verb) => verb === "pause" || verb === "resume" || verb === "start");
}

export const VERB_LABELS: Record<RunVerb, string> = {
  start: "Start",
  resume: "Resume",
  pause: "Pause",
  stop: "Stop and keep",
  kill: "Stop now",
  dequeue: "Take off the queue",
};

export function showError(error: unknown): void {
  const { title, reason } = describeError(error);
  toast.error(title, { description: reason });
}

/** A start that was refused for memory in use is shown with a button that starts it anyway. */
export function showStartError(error: unknown, startAnyway: () => void): void {
  if (!isMemoryInUse(error)) {
    showError(error);
    return;
  }
  const { title, reason } = describeError(error);
  toast.error(title, {
    description: reason,
    action: { label: "Start anyway", onClick: startAnyway },
    duration: 30_000,
  });
}

interface Asked {
  runId: string;
  verb: RunVerb;
  anyway?: boolean;
}

export function useRunVerb() {
  const mutation = useMutation({
    mutationFn: ({ runId, verb, anyway = false }: Asked) => VERBS[verb](runId, anyway),
    onSuccess: (run) => {
      if (run) {
        learnRun(run);
      }
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
    },
    onError: (error, asked) =>
      showStartError(error, () => mutation.mutate({ ...asked, anyway: true })),
  });
  return mutation;
}

export function useAnnotate(runId: string) {
  return useMutation({
    mutationFn: (change: AnnotationChange) => annotateRun(runId, change),
    onSuccess: learnRun,
    onError: showError,
  });
}

/** Deletes runs and offers to undo it; those that cannot be deleted are named. */
export async function deleteRuns(runs: readonly RunSummary[]): Promise<void> {
  const results = await Promise.allSettled(runs.map((run) => deleteRun(run.run_id)));
  const gone = runs.filter((_, index) => results[index]?.status === "fulfilled");
  for (const result of results) {
    if (result.status === "rejected") {
      showError(result.reason);
    }
  }
  await queryClient.invalidateQueries({ queryKey: ["runs"] });
  if (gone.length > 0) {
    const what = gone.length === 1 ? (gone[0]?.name ?? "One run") : `${gone.length} runs`;
    toast(`${what} moved to the trash.`, {
      action: { label: "Undo", onClick: () => void restoreRuns(gone) },
      duration: 10_000,
    });
  }
}

async function restoreRuns(runs: readonly RunSummary[]): Promise<void> {
  const results = await Promise.allSettled(runs.map((run) => restoreRun(run.run_id)));
  for (const result of results) {
    if (result.status === "rejected") {
      showError(result.reason);
    }
  }
  await queryClient.invalidateQueries({ queryKey: ["runs"] });
}
