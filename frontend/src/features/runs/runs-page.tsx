import { useQuery } from "@tanstack/react-query";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { Archive, GitCompare, Trash2, X } from "lucide-react";
import { lazy, Suspense, useCallback, useRef, useState } from "react";
import { metricCatalogue } from "@/api/metrics";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { annotateRun } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { formatCount } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { useShortcuts } from "@/components/shortcuts";
import { EmptyState, ErrorState, Skeleton, SkeletonRows } from "@/components/states";
import { FilterBar } from "@/features/runs/filter-bar";
import { ListActions } from "@/features/runs/list-actions";
import { isFiltered, MOST_COMPARED, type RunSearch, toggled } from "@/features/runs/listing";
import { deleteRuns, showError } from "@/features/runs/run-actions";
import { RunTable } from "@/features/runs/run-table";
import { useRunWindow } from "@/features/runs/use-run-window";

const RunCurves = lazy(() =>
  import("@/features/runs/run-curves").then((module) => ({ default: module.RunCurves })),
);

export function RunsPage() {
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const runs = useRunWindow(search);
  const metrics = useQuery(metricCatalogue());
  const [active, setActive] = useState(0);
  const searchBox = useRef<HTMLInputElement>(null);
  const change = useChange();
  const selected = search.selected ?? [];
  const row = runs.row(active);

  useShortcuts({
    "/": () => searchBox.current?.focus(),
    j: () => setActive((index) => Math.min(index + 1, runs.total - 1)),
    k: () => setActive((index) => Math.max(index - 1, 0)),
    x: () => row && change({ selected: toggled(search.selected, row.run_id) }),
    c: () => selected.length >= 2 && void navigate({ to: "/compare", search: { run: selected } }),
    enter: () => row && void navigate({ to: "/runs/$runId", params: { runId: row.run_id } }),
    escape: () => change({ selected: undefined }),
  });

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
      <FilterBar search={search} change={change} inputRef={searchBox} />
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
              search={search}
              change={change}
              active={active}
              onActive={setActive}
              metrics={metrics.data}
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

function SelectionActions({ runIds, change }: ChangeProps & { runIds: readonly string[] }) {
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
