import type { RunSummary } from "@/api/types";
import { roleColor } from "@/charts/colors";
import { EmptyState } from "@/components/states";
import { ComparedCharts } from "@/features/curves/compared-charts";
import { MOST_COMPARED } from "@/features/runs/listing";
import type { RunWindow } from "@/features/runs/use-run-window";

interface RunCurvesProps {
  runs: RunWindow;
  selected: readonly string[];
}

/** The curves of the selected runs, or of the first ones in the list, beside it. */
export function RunCurves({ runs, selected }: RunCurvesProps) {
  const listed = Array.from({ length: Math.min(runs.total, 100) }, (_, index) => runs.row(index));
  const known = listed.filter((run): run is RunSummary => run !== undefined);
  const chosen = known.filter((run) => selected.includes(run.run_id));
  const shown = (chosen.length > 0 ? chosen : known)
    .filter((run) => "divergence" in run.metrics || "loss" in run.metrics)
    .slice(0, MOST_COMPARED);
  return (
    <aside
      aria-label="Curves"
      className="h-72 shrink-0 overflow-y-auto border-t p-3 xl:h-auto xl:w-110 xl:border-l"
    >
      {shown.length === 0 ? (
        <EmptyState title="No curve yet">Curves appear with a run's first steps.</EmptyState>
      ) : (
        <>
          <p className="mb-2 text-sm text-muted">
            {chosen.length > 0
              ? `The ${shown.length} selected runs`
              : `The first ${shown.length} runs of the list; select runs with X to choose others`}
          </p>
          <ul className="mb-3 flex flex-wrap gap-x-3 gap-y-1 text-sm">
            {shown.map((run, place) => (
              <li key={run.run_id} className="flex max-w-48 items-center gap-1.5">
                <span
                  aria-hidden
                  className="size-2 shrink-0 rounded-full"
                  style={{ background: roleColor(place) }}
                />
                <span className="truncate">{run.name}</span>
              </li>
            ))}
          </ul>
          <ComparedCharts runs={shown} beside />
        </>
      )}
    </aside>
  );
}
