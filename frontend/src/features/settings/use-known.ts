import { useQuery } from "@tanstack/react-query";
import { promptSets } from "@/api/prompt-sets";
import { runPage } from "@/api/runs";
import { servedModels } from "@/api/tokens";
import type { Known } from "@/features/settings/curls";

/** What this workspace has, for the blanks of a command: its newest run, a set, a model. */
export function useKnown(): Known {
  const runs = useQuery(runPage({ limit: 20 })).data?.runs ?? [];
  const run = runs.find(({ has_checkpoint }) => has_checkpoint) ?? runs[0];
  const sets = (useQuery(promptSets()).data ?? []).filter(({ is_here }) => is_here);
  const set = sets.find(({ kind }) => kind === "prompts") ?? sets[0];
  const model = useQuery(servedModels()).data?.[0]?.id;
  const key = Object.keys(run?.metrics ?? {})[0];
  return {
    ...(run ? { run_id: run.run_id, run: run.run_id, position: "0" } : {}),
    ...(key ? { key } : {}),
    ...(set ? { set_id: set.id, prompts: set.path } : {}),
    ...(model ? { model } : {}),
    words: "qwen3",
  };
}
