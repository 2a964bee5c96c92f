import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { models } from "@/api/models";
import { ApiError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { createRun } from "@/api/runs";
import { learnRun } from "@/api/workspace";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { Switch } from "@/components/switch";
import { configOf, EMPTY_PLAN, type EvaluationPlan, errorsByPart } from "@/features/evaluate/plan";
import { StudentPicker } from "@/features/evaluate/student-picker";
import { showError } from "@/features/runs/run-actions";

interface EvaluateFormProps {
  onStarted: (runId: string) => void;
  onCancel: () => void;
}

type TextKey = Exclude<keyof EvaluationPlan, "withBase" | "withoutPrompt">;

const FIELDS: readonly { key: TextKey; part: string; label: string; help: string }[] = [
  { key: "model", part: "model", label: "Model", help: "Alias, hub id or folder." },
  {
    key: "adapter",
    part: "adapter",
    label: "Adapter",
    help: "Folder of an adapter; may be empty.",
  },
  {
    key: "inputs",
    part: "inputs",
    label: "Labelled items",
    help: "Path: JSONL with text and label, CSV, or one text a line.",
  },
  {
    key: "prompt",
    part: "prompt",
    label: "System prompt",
    help: "Path of a text file; may be empty.",
  },
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

/** A new evaluation: who answers, with or without a prompt, which items. */
export function EvaluateForm({ onStarted, onCancel }: EvaluateFormProps) {
  const [plan, setPlan] = useState(EMPTY_PLAN);
  const known = useQuery(models()).data;
  const start = useMutation({
    mutationFn: () => createRun({ config: configOf(plan), start: true, annotations: {} }),
    onSuccess: (run) => {
      learnRun(run);
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
      onStarted(run.run_id);
    },
    onError: showError,
  });
  const problems = start.error instanceof ApiError ? (start.error.problem.errors ?? []) : [];
  const errors = errorsByPart(problems);
  const names = [
    ...(known?.local ?? []).filter((model) => model.is_complete).map((model) => model.name),
    ...(known?.known ?? []).map((entry) => entry.alias),
  ];
  return (
    <Card title="New evaluation">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          start.mutate();
        }}
      >
        <StudentPicker onStudent={(student) => setPlan((old) => ({ ...old, ...student }))} />
        <div className="grid gap-x-4 gap-y-3 md:grid-cols-2">
          {FIELDS.map(({ key, part, label, help }) => (
            <Field key={key} label={label} help={help} error={errors.get(part)}>
              {(control) => (
                <Input
                  {...control}
                  value={plan[key]}
                  list={key === "model" ? "evaluate-models" : undefined}
                  inputMode={key.startsWith("max") ? "numeric" : undefined}
                  pattern={key.startsWith("max") ? "[0-9]*" : undefined}
                  required={key === "model" || key === "inputs"}
                  onChange={(event) => setPlan({ ...plan, [key]: event.target.value })}
                />
              )}
            </Field>
          ))}
        </div>
        <datalist id="evaluate-models">
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <Toggles plan={plan} onPlan={setPlan} />
        <div className="flex gap-2">
          <Button type="submit" look="primary" busy={start.isPending}>
            Start the evaluation
          </Button>
          <Button onClick={onCancel}>Cancel</Button>
        </div>
      </form>
    </Card>
  );
}

interface TogglesProps {
  plan: EvaluationPlan;
  onPlan: (plan: EvaluationPlan) => void;
}

function Toggles({ plan, onPlan }: TogglesProps) {
  return (
    <div className="flex flex-wrap gap-x-6 gap-y-2">
      {plan.adapter ? (
        <Toggle
          label="Also without the adapter"
          checked={plan.withBase}
          onChange={(withBase) => onPlan({ ...plan, withBase })}
        />
      ) : null}
      {plan.prompt ? (
        <Toggle
          label="Also without the prompt"
          checked={plan.withoutPrompt}
          onChange={(withoutPrompt) => onPlan({ ...plan, withoutPrompt })}
        />
      ) : null}
    </div>
  );
}

interface ToggleProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

function Toggle({ label, checked, onChange }: ToggleProps) {
  return (
    <div className="flex items-center gap-2">
      <Switch label={label} checked={checked} onChange={onChange} />
      <span aria-hidden>{label}</span>
    </div>
  );
}
