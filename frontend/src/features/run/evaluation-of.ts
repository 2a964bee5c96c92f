import { useQuery } from "@tanstack/react-query";
import { evaluationReport } from "@/api/evaluations";
import type { RunSummary } from "@/api/types";
import { isAtWork } from "@/features/runs/run-state";

const WATCH_MS = 2000;

/** The variants measured so far; asked again while there may be more of them. */
export function useEvaluationOf(run: RunSummary) {
  return useQuery({
    ...evaluationReport(run.run_id),
    refetchInterval: ({ state }) =>
      isAtWork(run.state) && (state.data || run.phase === "evaluating") ? WATCH_MS : false,
  });
}
