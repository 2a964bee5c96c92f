import { useState } from "react";
import type { FormField } from "@/api/types";
import { Field } from "@/components/field";
import { Prose } from "@/components/prose";
import { settingOf } from "@/features/new-run/draft";
import { useFieldError } from "@/features/new-run/field-errors";
import { SettingControl, type Suggestion } from "@/features/new-run/setting-field";
import { unitBeside } from "@/features/new-run/setting-text";
import { mistakeIn, type Teacher, withPart } from "@/features/new-run/teachers";

interface TeacherPartProps {
  field: FormField;
  /** The setting's dotted key in the config, by which an error leads to it. */
  place: string;
  /** Its key within the teacher. */
  part: string;
  index: number;
  teachers: readonly Teacher[];
  suggestions: readonly Suggestion[] | undefined;
  onChange: (teachers: readonly Teacher[]) => void;
}

/** One setting of one of several teachers, with its errors below it. */
export function TeacherPart(props: TeacherPartProps) {
  const { field, place, part, index, teachers, suggestions, onChange } = props;
  const [mistake, setMistake] = useState<string>();
  const told = useFieldError(place);
  const teacher = teachers[index] ?? {};
  const value = settingOf(teacher, part) ?? field.default;
  return (
    <Field
      label={field.title}
      unit={unitBeside(field)}
      help={<Prose text={field.help} />}
      error={mistakeIn(part, value) ?? mistake ?? told}
      className="max-w-xl"
      setting={place}
    >
      {(control) => (
        <SettingControl
          field={field}
          value={value}
          control={control}
          suggestions={field.kind === "model" ? suggestions : undefined}
          onChange={(next, wrong) => {
            setMistake(wrong);
            onChange(withPart(teachers, index, part, next));
          }}
        />
      )}
    </Field>
  );
}
