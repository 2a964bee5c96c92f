import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { playgroundState, unloadPlayground } from "@/api/playground";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { runPage } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, Notice, SkeletonRows } from "@/components/states";
import { usePinned } from "@/components/use-pinned";
import { BlindVote } from "@/features/playground/blind-vote";
import { QuestionForm } from "@/features/playground/question-form";
import { useTalk } from "@/features/playground/use-talk";
import { Voices } from "@/features/playground/voices";
import { showError } from "@/features/runs/run-actions";

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
  const { run: chosen } = useSearch({ from: "/playground" });
  // A newer run takes no question out of the user's hands.
  const newest = usePinned(runs[0]?.run_id);
  const runId = chosen ?? newest ?? "";
  const state = useQuery(playgroundState()).data;
  const isHeld = useWorkspace(({ queue }) => queue?.active != null);
  const isBlocked = isHeld || state?.state === "blocked";
  const talk = useTalk(runId);
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Playground"
        detail={
          state?.memory_gb ? `${formatNumber(state.memory_gb, 3)} GB of memory in use` : undefined
        }
        actions={state?.state === "warm" && !talk.isAsking ? <Unload /> : null}
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {isBlocked ? <Blocked reason={state?.reason ?? null} /> : null}
        {runs.length === 0 ? (
          <NoStudent />
        ) : (
          <Talk runs={runs} runId={runId} isBlocked={isBlocked} talk={talk} />
        )}
      </div>
    </div>
  );
}

interface TalkProps {
  runs: readonly RunSummary[];
  runId: string;
  isBlocked: boolean;
  talk: ReturnType<typeof useTalk>;
}

function Talk({ runs, runId, isBlocked, talk }: TalkProps) {
  const { checkpoint } = useSearch({ from: "/playground" });
  const navigate = useNavigate({ from: "/playground" });
  const hasTeacher = runs.find((run) => run.run_id === runId)?.teacher != null;
  return (
    <>
      <QuestionForm
        key={`${runId} ${checkpoint}`}
        step={checkpoint ?? null}
        runs={runs.map((run) => ({ value: run.run_id, label: run.name }))}
        runId={runId}
        onRun={(run) => void navigate({ search: { run }, replace: true })}
        prompt={talk.prompt}
        onPrompt={talk.setPrompt}
        chat={talk.chat}
        onChat={talk.setChat}
        isAsking={talk.isAsking}
        isBlocked={isBlocked}
        hasTeacher={hasTeacher}
        ask={talk.ask}
        stop={talk.stop}
      />
      {talk.places ? (
        <BlindVote
          key={talk.number}
          runId={runId}
          places={talk.places}
          exchange={talk.exchange}
          isAsking={talk.isAsking}
        />
      ) : (
        <Voices exchange={talk.exchange} hasTeacher={hasTeacher} onContinue={talk.takeUp} />
      )}
    </>
  );
}

function NoStudent() {
  return (
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

/** A run at work has the models' memory: who it is, and that it can be paused. */
function Blocked({ reason }: { reason: string | null }) {
  const { queue, runs } = useWorkspace();
  const run = queue?.active ? runs[queue.active.run_id] : undefined;
  return (
    <Notice
      tone="warn"
      title={run ? `The run “${run.name}” has the GPU` : (reason ?? "A run has the GPU")}
      action={
        run ? (
          <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }} size="sm">
            Open the run
          </ButtonLink>
        ) : null
      }
    >
      Both together could exceed the memory. Pause the run to ask now; it resumes where it was.
    </Notice>
  );
}

function Unload() {
  const unload = useMutation({
    mutationFn: unloadPlayground,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["playground"] }),
    onError: showError,
  });
  return (
    <Button busy={unload.isPending} onClick={() => unload.mutate()}>
      Unload the models
    </Button>
  );
}
