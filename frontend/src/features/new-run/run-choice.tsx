import { useQuery } from "@tanstack/react-query";
import { runPage } from "@/api/runs";
import { formatAgo } from "@/components/format";
import { Select } from "@/components/select";
import { useCopyRun } from "@/features/new-run/copy-run";
import { useDraft } from "@/features/new-run/draft";

const OFFERED = 30;

/** A run of before to begin with, in the place of a preset. */
export function RunChoice() {
  const runs = (useQuery(runPage({ limit: OFFERED })).data?.runs ?? []).filter(
    (run) => run.method !== "evaluation" && run.method !== "unknown",
  );
  const copied = useDraft((draft) => draft.copied);
  const copyRun = useCopyRun();
  if (runs.length === 0) {
    return null;
  }
  return (
    <div className="flex flex-wrap items-center gap-3">
      <span className="font-medium">Or begin with a run of before</span>
      <Select
        label="A run to begin with"
        value={runs.some((run) => run.run_id === copied?.id) ? (copied?.id ?? "") : ""}
        placeholder="Choose a run"
        choices={runs.map((run) => ({
          value: run.run_id,
          label: run.name,
          hint: formatAgo(run.created),
        }))}
        onChange={(runId) => void copyRun(runId)}
        className="w-80 max-w-full"
      />
    </div>
  );
}
