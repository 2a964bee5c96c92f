import { Archive, GitCompare, Trash2, X } from "lucide-react";
import { queryClient } from "@/api/query-client";
import { annotateRun } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { MOST_COMPARED, type RunSearch } from "@/features/runs/listing";
import { deleteRuns, showError } from "@/features/runs/run-actions";

interface SelectionActionsProps {
  runIds: readonly string[];
  change: (part: Partial<RunSearch>) => void;
}

/** What can be done with the selected runs. */
export function SelectionActions({ runIds, change }: SelectionActionsProps) {
  const clear = () => change({ selected: undefined });
  const many = runIds.length > MOST_COMPARED;
  return (
    <>
      <span className="num text-muted">{runIds.length} selected</span>
      {runIds.length >= 2 && !many ? (
        <ButtonLink
          to="/compare"
          search={{ run: [...runIds] }}
          look="primary"
          icon={<GitCompare aria-hidden />}
        >
          Compare
        </ButtonLink>
      ) : null}
      <Button icon={<Archive aria-hidden />} onClick={() => void archive(runIds).then(clear)}>
        Archive
      </Button>
      <Button
        look="danger"
        icon={<Trash2 aria-hidden />}
        onClick={() => void deleteRuns(known(runIds)).then(clear)}
      >
        Delete
      </Button>
      <Button
        look="quiet"
        icon={<X aria-hidden />}
        aria-label="Clear the selection"
        onClick={clear}
      />
    </>
  );
}

/** Entries of selected runs from the pages that were seen; others by their id alone. */
function known(runIds: readonly string[]): RunSummary[] {
  const pages = queryClient.getQueriesData<{ runs: RunSummary[] }>({ queryKey: ["runs", "page"] });
  const seen = new Map(
    pages.flatMap(([, page]) => page?.runs ?? []).map((run) => [run.run_id, run]),
  );
  return runIds.flatMap((runId) => seen.get(runId) ?? []);
}

async function archive(runIds: readonly string[]): Promise<void> {
  const results = await Promise.allSettled(
    runIds.map((runId) => annotateRun(runId, { archived: true })),
  );
  for (const result of results) {
    if (result.status === "rejected") {
      showError(result.reason);
    }
  }
  await queryClient.invalidateQueries({ queryKey: ["runs"] });
}
