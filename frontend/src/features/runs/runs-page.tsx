import { useQuery } from "@tanstack/react-query";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useMemo, useRef, useState } from "react";
import { runKinds } from "@/api/methods";
import { metricCatalogue } from "@/api/metrics";
import { describeError } from "@/api/problem";
import type { KindFacts } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { formatCount } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, Skeleton, SkeletonRows } from "@/components/states";
import { FilterBar } from "@/features/runs/filter-bar";
import { ListActions } from "@/features/runs/list-actions";
import { isFiltered, type RunSearch, withColumns } from "@/features/runs/listing";
import { RunTable } from "@/features/runs/run-table";
import { SelectionActions } from "@/features/runs/selection-actions";
import { useListKeys } from "@/features/runs/use-list-keys";
import { useRows } from "@/features/runs/use-rows";
import { useRunWindow } from "@/features/runs/use-run-window";

const RunCurves = lazy(() =>
  import("@/features/runs/run-curves").then((module) => ({ default: module.RunCurves })),
);

const NO_KINDS: readonly KindFacts[] = [];

export function RunsPage() {
  const address = useSearch({ from: "/runs" });
  const kinds = useQuery(runKinds()).data ?? NO_KINDS;
  const search = useMemo(() => withColumns(address, kinds), [address, kinds]);
  const runs = useRunWindow(search);
  const { rows, toggle } = useRows(search, runs.total);
  const metrics = useQuery(metricCatalogue());
  const [active, setActive] = useState(0);
  const searchBox = useRef<HTMLInputElement>(null);
  const change = useChange();
  const selected = search.selected ?? [];
  useListKeys({ rows, runs, search, change, toggle, active, setActive, searchBox });
  return (
    <div className="flex h-full flex-col">
      <PageHeader
        title="Runs"
        detail={runs.isLoading ? null : `${formatCount(runs.total)} in this list`}
        actions={
          <>
            {selected.length > 0 ? <SelectionActions runIds={selected} change={change} /> : null}
            <ListActions search={search} total={runs.total} change={change} />
          </>
        }
      />
      <FilterBar search={search} address={address} change={change} inputRef={searchBox} />
      {runs.isLoading ? (
        <SkeletonRows count={14} />
      ) : runs.error && runs.total === 0 ? (
        <ErrorState
          title={describeError(runs.error).title}
          reason={describeError(runs.error).reason}
          retry={runs.retry}
        />
      ) : runs.total === 0 ? (
        <NoRuns search={search} change={change} />
      ) : (
        <div className="flex min-h-0 grow flex-col xl:flex-row">
          <div className="flex min-h-0 min-w-0 grow flex-col">
            <RunTable
              runs={runs}
              rows={rows}
              onToggle={toggle}
              search={search}
              change={change}
              active={active}
              onActive={setActive}
              metrics={metrics.data}
              kinds={kinds}
            />
          </div>
          {search.curves ? (
            <Suspense fallback={<Skeleton className="h-72 shrink-0 xl:h-auto xl:w-110" />}>
              <RunCurves runs={runs} selected={selected} />
            </Suspense>
          ) : null}
        </div>
      )}
    </div>
  );
}

/** Changes the address of the list; a change that comes late must not call its reader back. */
function useChange(): (part: Partial<RunSearch>) => void {
  const navigate = useNavigate({ from: "/runs" });
  const router = useRouter();
  return useCallback(
    (part) => {
      if (router.latestLocation.pathname === "/runs") {
        void navigate({ search: (old) => ({ ...old, ...part }), replace: true });
      }
    },
    [navigate, router],
  );
}

interface ChangeProps {
  change: (part: Partial<RunSearch>) => void;
}

function NoRuns({ search, change }: ChangeProps & { search: RunSearch }) {
  if (isFiltered(search)) {
    return (
      <EmptyState
        title="No run matches"
        action={
          <Button
            onClick={() =>
              change({
                q: undefined,
                state: undefined,
                filter: undefined,
                method: undefined,
                favourite: undefined,
                archived: undefined,
              })
            }
          >
            Clear the filters
          </Button>
        }
      >
        Nothing in this workspace fits all of the filters above.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      title="No runs yet"
      action={
        <ButtonLink to="/new" look="primary">
          Plan a run
        </ButtonLink>
      }
    >
      A run teaches a small student what a big teacher knows, on your own prompts. Runs started from
      the command line appear here too.
    </EmptyState>
  );
}
