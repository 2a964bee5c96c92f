import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { models } from "@/api/models";
import { runCheck } from "@/api/planning";
import { ApiError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { createRun } from "@/api/runs";
import type { CheckReport } from "@/api/types";
import { learnRun } from "@/api/workspace";
import { Card } from "@/components/card";
import { GradingField } from "@/features/evaluate/grading-field";
import { configOf, EMPTY_PLAN, type EvaluationPlan, errorsByPart } from "@/features/evaluate/plan";
import {
  type FileAbout,
  FilePart,
  TextField,
  type TextFieldAbout,
} from "@/features/evaluate/plan-fields";
import { PlanSummary } from "@/features/evaluate/plan-summary";
import type { Student } from "@/features/evaluate/student-of";
import { StudentPicker } from "@/features/evaluate/student-picker";
import { useRested } from "@/features/new-run/use-rested";
import { showStartError } from "@/features/runs/run-actions";

interface EvaluateFormProps {
  /** Who shall answer, where that is known already. */
  student: Student | null;
  onStarted: (runId: string) => void;
  onCancel: () => void;
}

const WHO: readonly TextFieldAbout[] = [
  { key: "model", part: "model", label: "Model", help: "Alias, hub id or folder." },
  { key: "adapter", part: "adapter", label: "Adapter", help: "Its folder; may be empty." },
  {
    key: "teacher",
    part: "teacher",
    label: "Teacher",
    help: "Answers too, with the prompt; may be empty.",
  },
];

const HOW: readonly TextFieldAbout[] = [
  {
    key: "labels",
    part: "labels",
    label: "Labels",
    help: "With commas; empty takes those of the items.",
  },
  { key: "maxSamples", part: "max_samples", label: "Items at most", help: "Empty takes all." },
  {
    key: "maxAnswerTokens",
    part: "max_answer_tokens",
    label: "Longest answer",
    help: "In tokens, thinking included.",
  },
  { key: "name", part: "run_name", label: "Name", help: "For people; may be empty." },
];

const INPUTS: FileAbout = {
  key: "inputs",
  label: "Labelled items",
  help: "JSONL, JSON or a table with text and label. Of items without a label only agreement is counted.",
  kinds: ["inputs", "prompts", "text"],
  endings: ["jsonl", "ndjson", "json", "csv", "tsv", "txt", "parquet"],
};

const PROMPT: FileAbout = {
  key: "prompt",
  label: "System prompt",
  help: "A text file that is read before every item; may be empty.",
  kinds: ["text"],
  endings: ["md", "txt"],
};

/** What the check says of a plan that is complete enough to be checked. */
function usePlanCheck(plan: EvaluationPlan): CheckReport | undefined {
  const rested = useRested(plan);
  const isComplete = rested.model !== "" && rested.inputs !== "";
  const found = useQuery({ ...runCheck(configOf(rested)), enabled: isComplete }).data;
  // What was found stays while a field is typed into, and goes with the file that it is about.
  return isComplete && plan.inputs !== "" ? found : undefined;
}

/** A new evaluation: who answers, with or without a prompt, which items. */
export function EvaluateForm({ student, onStarted, onCancel }: EvaluateFormProps) {
  const [plan, setPlan] = useState<EvaluationPlan>({ ...EMPTY_PLAN, ...student });
  // A prompt that was chosen here folds nothing open or shut under the hand.
  const isPrompted = (student?.prompt ?? "") !== "";
  const change = (part: Partial<EvaluationPlan>) => setPlan((old) => ({ ...old, ...part }));
  const known = useQuery(models()).data;
  const check = usePlanCheck(plan);
  const start = useMutation({
    mutationFn: (anyway: boolean) =>
      createRun({ config: configOf(plan), start: true, anyway, annotations: {} }),
    onSuccess: (run) => {
      learnRun(run);
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
      onStarted(run.run_id);
    },
    onError: (error) => showStartError(error, () => start.mutate(true)),
  });
  const refused = start.error instanceof ApiError ? (start.error.problem.errors ?? []) : [];
  const found = (check?.findings ?? []).flatMap(({ severity, field, message, fix }) =>
    severity === "error" ? field.split(", ").map((at) => told(at, `${message} ${fix}`)) : [],
  );
  const errors = errorsByPart([...refused, ...found], plan.teacher);
  const names = [
    ...(known?.local ?? []).filter((model) => model.is_complete).map((model) => model.name),
    ...(known?.known ?? []).map((entry) => entry.alias),
  ];
  const text = { plan, errors, change };
  const file = (about: FileAbout) => <FilePart {...text} about={about} check={check} />;
  return (
    <form
      aria-label="New evaluation"
      className="grid items-start gap-3 md:grid-cols-[minmax(0,1fr)_260px] xl:grid-cols-[minmax(0,1fr)_320px]"
      onSubmit={(event) => {
        event.preventDefault();
        start.mutate(false);
      }}
    >
      <datalist id="evaluate-models">
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <Card title="New evaluation" actions={<StudentPicker student={student} onPlan={setPlan} />}>
        <div className="flex flex-col gap-4">
          <div className="grid gap-x-4 gap-y-3 *:min-w-0 lg:grid-cols-3">
            {WHO.map((about) => (
              <TextField key={about.key} {...text} about={about} />
            ))}
          </div>
          <div className="flex flex-col gap-3 border-t pt-3">{file(INPUTS)}</div>
          <details open={isPrompted} className="border-t pt-3">
            <summary className="w-fit cursor-default font-medium">
              System prompt{" "}
              <span className="font-normal text-muted">{nameOf(plan.prompt) || "none"}</span>
            </summary>
            <div className="mt-2 flex flex-col gap-3">{file(PROMPT)}</div>
          </details>
          <div className="grid gap-x-4 gap-y-3 border-t pt-3 *:min-w-0 sm:grid-cols-2 lg:grid-cols-3">
            <GradingField value={plan.grading} onChange={(grading) => change({ grading })} />
            {HOW.map((about) => (
              <TextField key={about.key} {...text} about={about} />
            ))}
          </div>
        </div>
      </Card>
      <PlanSummary
        plan={plan}
        onPlan={setPlan}
        check={check}
        isStarting={start.isPending}
        onCancel={onCancel}
      />
    </form>
  );
}

/** The last part of a path, as people know a file. */
function nameOf(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? "";
}

function told(location: string, message: string) {
  return { location, message };
}
