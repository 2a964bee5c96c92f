import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ListChecks } from "lucide-react";
import type { ReactNode } from "react";
import { evaluatedRuns } from "@/api/evaluations";
import { describeError } from "@/api/problem";
import { runPage } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { PageHeader } from "@/components/page-header";
import { Select } from "@/components/select";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { usePinned } from "@/components/use-pinned";
import { EvaluateForm } from "@/features/evaluate/evaluate-form";
import { Findings } from "@/features/evaluate/findings";
import { trainedRuns, useStudentOf } from "@/features/evaluate/student-of";

const DETAIL = "Answers to labelled items, counted";

/** How variants answer labelled items: accuracy with its interval, confusions, errors, speed. */
export function EvaluatePage() {
  const { form: isStarting = false } = useSearch({ from: "/evaluate" });
  return isStarting ? <NewEvaluation /> : <Evaluations />;
}

/** The form alone, filled in from the run that is meant: else from the newest student. */
function NewEvaluation() {
  const { student, checkpoint } = useSearch({ from: "/evaluate" });
  const navigate = useNavigate({ from: "/evaluate" });
  const known = useQuery({ ...runPage({ limit: 200 }), enabled: !student }).data;
  const newest = usePinned(known ? (trainedRuns(known.runs)[0]?.run_id ?? "") : undefined);
  const whose = student ?? newest;
  const asked = useStudentOf(whose || undefined, checkpoint);
  return (
    <div className="flex flex-col">
      <PageHeader title="Evaluate" detail={DETAIL} />
      <div className="px-4 pb-4">
        {whose === undefined || asked === undefined ? (
          <SkeletonRows count={8} />
        ) : (
          <EvaluateForm
            key={asked?.adapter ?? ""}
            student={asked}
            onStarted={(runId) => void navigate({ search: { run: runId } })}
            onCancel={() => void navigate({ search: ({ run }) => ({ run }) })}
          />
        )}
      </div>
    </div>
  );
}

function Evaluations() {
  const { run: chosen } = useSearch({ from: "/evaluate" });
  const navigate = useNavigate({ from: "/evaluate" });
  const query = useQuery(evaluatedRuns());
  const runs = query.data?.runs ?? [];
  const run = runs.find((each) => each.run_id === chosen) ?? runs[0];
  const start = (
    <Button
      look="primary"
      icon={<ListChecks aria-hidden />}
      onClick={() => void navigate({ search: (old) => ({ ...old, form: true }) })}
    >
      New evaluation
    </Button>
  );
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Evaluate"
        detail={DETAIL}
        actions={
          run ? (
            <>
              <RunChoice
                run={run}
                runs={runs}
                onChoose={(runId) => void navigate({ search: { run: runId } })}
              />
              {start}
            </>
          ) : null
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {query.isPending ? (
          <SkeletonRows count={8} />
        ) : query.error ? (
          <ErrorState {...describeError(query.error)} retry={() => void query.refetch()} />
        ) : (
          <Found run={run} runs={runs} start={start} />
        )}
      </div>
    </div>
  );
}

interface FoundProps {
  run: RunSummary | undefined;
  runs: readonly RunSummary[];
  /** The way to a first evaluation. */
  start: ReactNode;
}

function Found({ run, runs, start }: FoundProps) {
  if (run) {
    return <Findings key={run.run_id} run={run} others={runs.filter((each) => each !== run)} />;
  }
  return (
    <EmptyState title="Nothing evaluated yet" action={start}>
      Let a model answer texts whose labels are known, with or without a prompt, before and after it
      has learned.
    </EmptyState>
  );
}

interface RunChoiceProps {
  run: RunSummary;
  runs: readonly RunSummary[];
  onChoose: (runId: string) => void;
}

/** Which run is looked at, and the way to its own page. */
function RunChoice({ run, runs, onChoose }: RunChoiceProps) {
  return (
    <>
      <Select
        label="Run"
        value={run.run_id}
        choices={runs.map((each) => ({ value: each.run_id, label: each.name, hint: each.state }))}
        onChange={onChoose}
        className="w-64 max-w-full"
      />
      <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }}>
        Open the run
      </ButtonLink>
    </>
  );
}
