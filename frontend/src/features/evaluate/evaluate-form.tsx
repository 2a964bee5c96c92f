import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { models } from "@/api/models";
import { runCheck } from "@/api/planning";
import { ApiError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { createRun } from "@/api/runs";
import type { CheckReport } from "@/api/types";
import { learnRun } from "@/api/workspace";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { LintView } from "@/features/data/lint-view";
import { SetPicker } from "@/features/data/set-picker";
import { GradingField } from "@/features/evaluate/grading-field";
import { configOf, EMPTY_PLAN, type EvaluationPlan, errorsByPart } from "@/features/evaluate/plan";
import type { Student } from "@/features/evaluate/student-of";
import { StudentPicker } from "@/features/evaluate/student-picker";
import { Toggles } from "@/features/evaluate/toggles";
import { useRested } from "@/features/new-run/use-rested";
import { showStartError } from "@/features/runs/run-actions";

interface EvaluateFormProps {
  /** Who shall answer, where that is known already. */
  student: Student | null;
  onStarted: (runId: string) => void;
  onCancel: () => void;
}

type TextKey = Exclude<
  keyof EvaluationPlan,
  "withBase" | "withoutPrompt" | "grading" | "checkpoints" | "everyCheckpoint"
>;

interface TextFieldAbout {
  key: TextKey;
  part: string;
  label: string;
  help: string;
}

const WHO: readonly TextFieldAbout[] = [
  { key: "model", part: "model", label: "Model", help: "Alias, hub id or folder." },
  { key: "adapter", part: "adapter", label: "Adapter", help: "Its folder; may be empty." },
  {
    key: "teacher",
    part: "teacher",
    label: "Teacher",
    help: "Another model that answers with the prompt, to agree with or not; may be empty.",
  },
];

const HOW: readonly TextFieldAbout[] = [
  { key: "labels", part: "labels", label: "Labels", help: "With commas; empty takes gold." },
  { key: "maxSamples", part: "max_samples", label: "Items at most", help: "Empty takes all." },
  {
    key: "maxAnswerTokens",
    part: "max_answer_tokens",
    label: "Longest answer",
    help: "In tokens, thinking included.",
  },
  { key: "name", part: "run_name", label: "Name", help: "For people; may be empty." },
];

const FILES = [
  {
    key: "inputs",
    label: "Labelled items",
    help: "JSONL, JSON or a table with text and label. Of items without gold only agreement is counted.",
    kinds: ["inputs", "prompts", "text"],
    endings: ["jsonl", "ndjson", "json", "csv", "tsv", "txt", "parquet"],
  },
  {
    key: "prompt",
    label: "System prompt",
    help: "A text file that is read before every item; may be empty.",
    kinds: ["text"],
    endings: ["md", "txt"],
  },
] as const;

/** What the check says of a plan that is complete enough to be checked. */
function usePlanCheck(plan: EvaluationPlan): CheckReport | undefined {
  const rested = useRested(plan);
  const isComplete = rested.model !== "" && rested.inputs !== "";
  return useQuery({ ...runCheck(configOf(rested)), enabled: isComplete }).data;
}

/** A new evaluation: who answers, with or without a prompt, which items. */
export function EvaluateForm({ student, onStarted, onCancel }: EvaluateFormProps) {
  const [plan, setPlan] = useState<EvaluationPlan>({ ...EMPTY_PLAN, ...student });
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
  return (
    <Card title="New evaluation">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          start.mutate(false);
        }}
      >
        <StudentPicker onStudent={change} />
        <div className="grid gap-x-4 gap-y-3 *:min-w-0 md:grid-cols-3">
          {WHO.map((about) => (
            <TextField key={about.key} {...text} about={about} />
          ))}
        </div>
        <datalist id="evaluate-models">
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <div className="grid gap-x-4 gap-y-3 md:grid-cols-2">
          {FILES.map(({ key, label, help, kinds, endings }) => (
            <div key={key} className="flex min-w-0 flex-col gap-3">
              <SetPicker
                label={`Drop the ${label.toLowerCase()} here`}
                path={plan[key] || null}
                onPath={(path) => change({ [key]: path })}
                kinds={kinds}
                endings={endings}
              />
              <TextField {...text} about={{ key, part: key, label, help }} />
              {key === "inputs" && check?.validation ? (
                <LintView report={check.validation} noun="Items" answered="With gold" />
              ) : null}
            </div>
          ))}
        </div>
        <div className="grid gap-x-4 gap-y-3 *:min-w-0 md:grid-cols-2 xl:grid-cols-5">
          <GradingField value={plan.grading} onChange={(grading) => change({ grading })} />
          {HOW.map((about) => (
            <TextField key={about.key} {...text} about={about} />
          ))}
        </div>
        <Toggles plan={plan} onPlan={setPlan} />
        <div className="flex gap-2">
          <Button
            type="submit"
            look="primary"
            busy={start.isPending}
            disabled={check?.verdict === "error"}
          >
            Start the evaluation
          </Button>
          <Button onClick={onCancel}>Cancel</Button>
        </div>
      </form>
    </Card>
  );
}

function told(location: string, message: string) {
  return { location, message };
}

interface TextFieldProps {
  plan: EvaluationPlan;
  errors: ReadonlyMap<string, string>;
  change: (part: Partial<EvaluationPlan>) => void;
  about: TextFieldAbout;
}

function TextField({ plan, errors, change, about }: TextFieldProps) {
  const { key, part, label, help } = about;
  const isNumber = key.startsWith("max");
  return (
    <Field label={label} help={help} error={errors.get(part)}>
      {(control) => (
        <Input
          {...control}
          value={plan[key]}
          list={key === "model" || key === "teacher" ? "evaluate-models" : undefined}
          inputMode={isNumber ? "numeric" : undefined}
          pattern={isNumber ? "[0-9]*" : undefined}
          required={key === "model" || key === "inputs"}
          onChange={(event) => change({ [key]: event.target.value })}
        />
      )}
    </Field>
  );
}
