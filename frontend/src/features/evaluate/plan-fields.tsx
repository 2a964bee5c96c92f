import type { CheckReport, PromptSet } from "@/api/types";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { LintView } from "@/features/data/lint-view";
import { SetPicker } from "@/features/data/set-picker";
import type { EvaluationPlan } from "@/features/evaluate/plan";

type TextKey = Exclude<
  keyof EvaluationPlan,
  "runId" | "withBase" | "withoutPrompt" | "grading" | "checkpoints" | "everyCheckpoint"
>;

export interface TextFieldAbout {
  key: TextKey;
  part: string;
  label: string;
  help: string;
}

export interface FileAbout {
  key: "inputs" | "prompt";
  label: string;
  help: string;
  kinds: readonly PromptSet["kind"][];
  endings: readonly string[];
}

interface TextFieldProps {
  plan: EvaluationPlan;
  errors: ReadonlyMap<string, string>;
  change: (part: Partial<EvaluationPlan>) => void;
  about: TextFieldAbout;
}

export function TextField({ plan, errors, change, about }: TextFieldProps) {
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

interface FilePartProps extends Omit<TextFieldProps, "about"> {
  about: FileAbout;
  check: CheckReport | undefined;
}

/** A file: chosen, dropped or named, in this order, and what was found in it. */
export function FilePart({ about, check, ...text }: FilePartProps) {
  const { key, label, help, kinds, endings } = about;
  return (
    <>
      <SetPicker
        label={`Drop the ${label.toLowerCase()} here`}
        path={text.plan[key] || null}
        onPath={(path) => text.change({ [key]: path })}
        kinds={kinds}
        endings={endings}
      />
      <TextField {...text} about={{ key, part: key, label, help }} />
      {key === "inputs" && check?.validation ? (
        <LintView report={check.validation} noun="Items" answered="With labels" />
      ) : null}
    </>
  );
}
