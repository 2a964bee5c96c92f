import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { exportList } from "@/api/exports";
import { describeError } from "@/api/problem";
import { runPage } from "@/api/runs";
import { ButtonLink } from "@/components/button-link";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { usePinned } from "@/components/use-pinned";
import { ExportForm } from "@/features/export/export-form";
import { ExportRows } from "@/features/export/export-rows";

/** A trained student on its way out: what it can leave as, what was written, and the hub. */
export function ExportPage() {
  const { run: chosen, checkpoint } = useSearch({ from: "/export" });
  const navigate = useNavigate({ from: "/export" });
  const runs = useQuery(runPage({ limit: 200 }));
  const exports = useQuery(exportList());
  const trained = runs.data?.runs.filter((run) => run.has_checkpoint) ?? [];
  const newest = usePinned(trained[0]?.run_id);
  const named = (id: string | undefined) => trained.find((one) => one.run_id === id);
  const run = named(chosen) ?? named(newest) ?? trained[0];
  return (
    <div className="flex flex-col">
      <PageHeader title="Export" detail="Take a trained student to other programs" />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {runs.isPending ? (
          <SkeletonRows count={8} />
        ) : runs.error ? (
          <ErrorState
            title={describeError(runs.error).title}
            reason={describeError(runs.error).reason}
            retry={() => void runs.refetch()}
          />
        ) : run ? (
          <ExportForm
            key={`${run.run_id} ${checkpoint}`}
            run={run}
            chosenStep={run.run_id === chosen ? (checkpoint ?? null) : null}
            runs={trained}
            taken={exports.data?.map((one) => one.name) ?? []}
            onRun={(runId) => void navigate({ search: { run: runId }, replace: true })}
          />
        ) : (
          <EmptyState
            title="No student to export yet"
            action={
              <ButtonLink to="/new" look="primary">
                Plan a run
              </ButtonLink>
            }
          >
            A run with a checkpoint can be exported as an adapter, a fused or quantized model, or
            GGUF.
          </EmptyState>
        )}
        <ExportRows exports={exports.data ?? []} />
      </div>
    </div>
  );
}
