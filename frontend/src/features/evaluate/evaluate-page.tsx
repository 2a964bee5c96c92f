import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ListChecks } from "lucide-react";
import type { ReactNode } from "react";
import { evaluatedRuns } from "@/api/evaluations";
import { describeError } from "@/api/problem";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { PageHeader } from "@/components/page-header";
import { Select } from "@/components/select";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { EvaluateForm } from "@/features/evaluate/evaluate-form";
import { Findings } from "@/features/evaluate/findings";
import { useStudentOf } from "@/features/evaluate/student-of";

/** How variants answer labelled items: accuracy with its interval, confusions, errors, speed. */
export function EvaluatePage() {
  const {
    run: chosen,
    form: isStarting = false,
    student,
    checkpoint,
  } = useSearch({ from: "/evaluate" });
  const asked = useStudentOf(student, checkpoint);
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
        detail="Answers to labelled items, counted"
        actions={
          run ? (
            <>
              <RunChoice
                run={run}
                runs={runs}
                onChoose={(runId) => void navigate({ search: { run: runId } })}
              />
              {isStarting ? null : start}
            </>
          ) : null
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {isStarting && asked !== undefined ? (
          <EvaluateForm
            key={asked?.adapter ?? ""}
            student={asked}
            onStarted={(runId) => void navigate({ search: { run: runId } })}
            onCancel={() => void navigate({ search: ({ run }) => ({ run }) })}
          />
        ) : null}
        {query.isPending ? (
          <SkeletonRows count={8} />
        ) : query.error ? (
          <ErrorState {...describeError(query.error)} retry={() => void query.refetch()} />
        ) : (
          <Found run={run} runs={runs} start={isStarting ? null : start} />
        )}
      </div>
    </div>
  );
}

interface FoundProps {
  run: RunSummary | undefined;
  runs: readonly RunSummary[];
  /** The way to a first evaluation; null where it is being taken. */
  start: ReactNode;
}

function Found({ run, runs, start }: FoundProps) {
  if (run) {
    return <Findings key={run.run_id} run={run} others={runs.filter((each) => each !== run)} />;
  }
  return start === null ? null : (
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
