import { Field } from "@/components/field";
import { Select } from "@/components/select";
import type { Grading } from "@/features/evaluate/plan";
import { GRADINGS } from "@/features/evaluate/wording";

interface GradingFieldProps {
  value: Grading;
  onChange: (value: Grading) => void;
}

/** How answers are told right from wrong. */
export function GradingField({ value, onChange }: GradingFieldProps) {
  const chosen = GRADINGS.find((grading) => grading.value === value);
  return (
    <Field label="Grading" help={chosen?.help}>
      {(control) => (
        <Select
          {...control}
          label="Grading"
          value={value}
          choices={GRADINGS.map((grading) => ({ value: grading.value, label: grading.label }))}
          onChange={(wanted) =>
            onChange(GRADINGS.find((grading) => grading.value === wanted)?.value ?? "auto")
          }
        />
      )}
    </Field>
  );
}
