import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { describeError } from "@/api/problem";
import { runDetail, runPage } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { usePinned } from "@/components/use-pinned";
import { TalkPage } from "@/features/playground/talk-page";

/** Base, student and teacher in the same conversation with the same seed. */
export function PlaygroundPage() {
  const query = useQuery(runPage({ limit: 100 }));
  // Which run is asked has to be known first: the form is another one for another run.
  if (query.data) {
    return <Playground runs={query.data.runs.filter((run) => run.has_checkpoint)} />;
  }
  const problem = query.error ? describeError(query.error) : null;
  return (
    <div className="flex flex-col">
      <PageHeader title="Playground" />
      {problem ? (
        <ErrorState {...problem} retry={() => void query.refetch()} />
      ) : (
        <SkeletonRows count={6} />
      )}
    </div>
  );
}

function Playground({ runs }: { runs: readonly RunSummary[] }) {
  const { run: chosen, checkpoint } = useSearch({ from: "/playground" });
  const navigate = useNavigate({ from: "/playground" });
  // A newer run takes no question out of the user's hands.
  const newest = usePinned(runs[0]?.run_id);
  const listed = runs.find(({ run_id }) => run_id === (chosen ?? newest));
  // An old run is not on the first page of the list.
  const looked = useQuery({ ...runDetail(chosen ?? ""), enabled: chosen !== undefined && !listed });
  const run = listed ?? (looked.data?.run.has_checkpoint ? looked.data.run : undefined);
  if (run) {
    return (
      <TalkPage
        key={`${run.run_id} ${checkpoint}`}
        run={run}
        runs={listed ? runs : [run, ...runs]}
        step={checkpoint ?? null}
        onRun={(runId) => void navigate({ search: { run: runId }, replace: true })}
      />
    );
  }
  return (
    <div className="flex flex-col">
      <PageHeader title="Playground" />
      {looked.isLoading ? <SkeletonRows count={6} /> : <NoStudent isGone={chosen !== undefined} />}
    </div>
  );
}

function NoStudent({ isGone }: { isGone: boolean }) {
  return isGone ? (
    <EmptyState
      title="This run has no checkpoint to talk to"
      action={<ButtonLink to="/playground">Talk to the newest student</ButtonLink>}
    >
      It was deleted, or it ended before it kept one.
    </EmptyState>
  ) : (
    <EmptyState
      title="No student to talk to yet"
      action={
        <ButtonLink to="/new" look="primary">
          Plan a run
        </ButtonLink>
      }
    >
      A run with a checkpoint gives the playground its student, teacher and base model.
    </EmptyState>
  );
}
