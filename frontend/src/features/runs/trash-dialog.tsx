import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { purgeRun, trash } from "@/api/bundles";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { restoreRun } from "@/api/runs";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { formatAgo } from "@/components/format";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { showError } from "@/features/runs/run-actions";

/** Deleted runs: brought back, or deleted for good after a second press. */
export function TrashDialog({ onClose }: { onClose: () => void }) {
  const query = useQuery(trash());
  const [asked, setAsked] = useState<string | null>(null);
  const act = useMutation<unknown, Error, { runId: string; verb: "restore" | "purge" }>({
    mutationFn: ({ runId, verb }) => (verb === "restore" ? restoreRun(runId) : purgeRun(runId)),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["runs"] }),
    onError: showError,
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="Trash"
      description="Deleted runs stay here, checkpoints and all, until they are deleted for good."
    >
      {query.isPending ? (
        <SkeletonRows count={3} />
      ) : query.error ? (
        <ErrorState
          title={describeError(query.error).title}
          reason={describeError(query.error).reason}
          retry={() => void query.refetch()}
        />
      ) : query.data.length === 0 ? (
        <EmptyState title="The trash is empty" />
      ) : (
        <ul className="divide-y">
          {query.data.map((run) => (
            <li key={run.run_id} className="num flex min-h-10 items-center gap-2">
              <span className="min-w-0 truncate">{run.name}</span>
              <span className="shrink-0 text-muted">deleted {formatAgo(run.deleted)}</span>
              <span className="ml-auto flex gap-1">
                <Button
                  size="sm"
                  onClick={() => act.mutate({ runId: run.run_id, verb: "restore" })}
                >
                  Bring back
                </Button>
                <Button
                  size="sm"
                  look="danger"
                  onClick={() =>
                    asked === run.run_id
                      ? act.mutate({ runId: run.run_id, verb: "purge" })
                      : setAsked(run.run_id)
                  }
                >
                  {asked === run.run_id ? "Really, for good" : "Delete for good"}
                </Button>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
