import { useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { queryClient } from "@/api/query-client";
import { runDetail } from "@/api/runs";
import type { RunDetail } from "@/api/types";
import { type CopiedRun, useDraft, withSetting } from "@/features/new-run/draft";
import type { StepId } from "@/features/new-run/steps";
import { showError } from "@/features/runs/run-actions";

/** A run's settings to begin with; its name is its own. None where they cannot be read. */
export function copyOf({ run, folder, config, facts }: RunDetail): CopiedRun | null {
  if (!config || !facts) {
    return null;
  }
  const values = JSON.parse(JSON.stringify(config)) as CopiedRun["config"];
  return {
    id: run.run_id,
    name: run.name,
    folder,
    config: withSetting(values, `${facts.block}.run_name`, null),
  };
}

/** Fills the draft from a run and shows what can be changed; what was planned before is kept aside. */
export function useCopyRun(): (runId: string, step?: StepId) => Promise<void> {
  const copy = useDraft((draft) => draft.copy);
  const navigate = useNavigate();
  return useCallback(
    async (runId, step = "review") => {
      try {
        const copied = copyOf(await queryClient.fetchQuery(runDetail(runId)));
        if (copied) {
          copy(copied);
        }
      } catch (error) {
        showError(error);
      }
      void navigate({ to: "/new/$step", params: { step }, replace: true });
    },
    [copy, navigate],
  );
}
