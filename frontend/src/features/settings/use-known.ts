import { useQuery } from "@tanstack/react-query";
import { evaluatedRuns, evaluationReport } from "@/api/evaluations";
import { promptSets } from "@/api/prompt-sets";
import { runPage } from "@/api/runs";
import { servedModels } from "@/api/tokens";
import { gradingText } from "@/features/evaluate/wording";
import type { Known } from "@/features/settings/curls";

const EVALUATION = "/api/runs/{run_id}/evaluation";

/** What this workspace has, for the blanks of a command: its newest runs, a set, a model. */
export function useKnown(): Known {
  const runs = useQuery(runPage({ limit: 20 })).data?.runs ?? [];
  const learned = runs.filter(({ has_checkpoint }) => has_checkpoint);
  const run = learned[0] ?? runs[0];
  const sets = (useQuery(promptSets()).data ?? []).filter(({ is_here }) => is_here);
  const set = sets.find(({ kind }) => kind === "prompts") ?? sets[0];
  const model = useQuery(servedModels()).data?.[0]?.id ?? null;
  return {
    run_id: run?.run_id ?? null,
    position: "0",
    key: Object.keys(run?.metrics ?? {})[0] ?? null,
    set_id: set?.id ?? null,
    prompts: set?.path ?? null,
    model,
    "/v1/models/{name} name": model,
    words: "qwen3",
    ...useComparable(learned.map(({ run_id }) => run_id)),
    ...useEvaluated(),
  };
}

/** Two runs side by side, where there are two. */
function useComparable(runIds: readonly string[]): Known {
  const two = runIds.length > 1 ? runIds.slice(0, 2) : null;
  return { "/api/comparison run": two, "/api/comparison/completions run": two };
}

/** A run that was evaluated, and one of those that answered in it. */
function useEvaluated(): Known {
  const runs = useQuery(evaluatedRuns()).data?.runs ?? [];
  const runId = runs.find(
    ({ method, state }) => method === "evaluation" && state === "finished",
  )?.run_id;
  const report = useQuery({ ...evaluationReport(runId ?? ""), enabled: runId !== undefined }).data;
  const own = report ? (runId ?? null) : null;
  return {
    [`${EVALUATION} run_id`]: own,
    // Free answers have no confusions, and so no picture of them.
    [`${EVALUATION}.png run_id`]: gradingText(report?.grading) === "" ? own : null,
    [`${EVALUATION}/predictions run_id`]: own,
    variant: report?.variants[0]?.name ?? null,
    "/api/comparison/evaluation run": own,
  };
}
