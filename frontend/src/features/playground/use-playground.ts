import { useQuery } from "@tanstack/react-query";
import { playgroundState } from "@/api/playground";
import { useWorkspace } from "@/api/workspace";

/** Whether models can be asked now, and what they hold of the memory, in GB. */
export function usePlayground() {
  const state = useQuery(playgroundState()).data;
  const isHeld = useWorkspace(({ queue }) => queue?.active != null);
  return {
    isBlocked: isHeld || state?.state === "blocked",
    reason: state?.reason ?? null,
    memoryGb: state?.memory_gb ?? null,
    isWarm: state?.state === "warm",
  };
}
