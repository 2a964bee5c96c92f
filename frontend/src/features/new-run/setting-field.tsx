import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { formFields } from "@/api/planning";
import type { FormField } from "@/api/types";
import { type ControlProps, Field } from "@/components/field";
import { Input } from "@/components/input";
import { Prose } from "@/components/prose";
import { Select } from "@/components/select";
import { Switch } from "@/components/switch";
import { type Setting, useDraft, valueIn } from "@/features/new-run/draft";
import { useFieldError } from "@/features/new-run/field-errors";
import { RewardsControl } from "@/features/new-run/rewards-control";
import { choiceInWords, parseSetting, unitBeside, wordsOf } from "@/features/new-run/setting-text";
import { inWords } from "@/features/new-run/setting-words";
import { titlesOf } from "@/features/runs/key-names";

/** A value that may be meant, and what there is to know of it. */
export interface Suggestion {
  value: string;
  note: string;
}

/** What the settings of a block are called. */
export function useTitles(block: string): ReadonlyMap<string, string> {
  const fields = useQuery(formFields()).data;
  return useMemo(
    () => titlesOf((fields ?? []).filter(({ key }) => key.startsWith(`${block}.`))),
    [fields, block],
  );
}

function blockOf(key: string): string {
  return key.slice(0, key.indexOf("."));
}

interface SettingFieldProps {
  field: FormField;
  suggestions?: readonly Suggestion[];
}

/** One setting of the config as the backend describes it; its errors land below it. */
export function SettingField({ field, suggestions }: SettingFieldProps) {
  const value = useDraft(({ config }) => valueIn(config, field));
  const set = useDraft((draft) => draft.set);
  const [mistake, setMistake] = useState<string>();
  const error = useFieldError(field.key);
  const titles = useTitles(blockOf(field.key));
  const help = inWords(field.help, titles, field.choices);
  return (
    <Field
      label={field.title}
      unit={unitBeside(field)}
      help={<Prose text={help} />}
      error={mistake ?? error}
      className="max-w-xl"
      setting={field.key}
    >
      {(control) => (
        <SettingControl
          field={field}
          value={value}
          control={control}
          suggestions={suggestions}
          onChange={(next, wrong) => {
            setMistake(wrong);
            set(field.key, next);
          }}
        />
      )}
    </Field>
  );
}

export interface SettingControlProps {
  field: FormField;
  value: Setting;
  control: ControlProps;
  suggestions: readonly Suggestion[] | undefined;
  onChange: (value: Setting, mistake?: string) => void;
}

/** The control that a setting's kind asks for. */
export function SettingControl({
  field,
  value,
  control,
  suggestions,
  onChange,
}: SettingControlProps) {
  if (field.kind === "boolean") {
    const { "aria-invalid": _, ...rest } = control;
    return <Switch {...rest} checked={value === true} onChange={onChange} />;
  }
  if (field.kind === "rewards") {
    return <RewardsControl control={control} value={value} onChange={onChange} />;
  }
  if (field.kind === "choice") {
    return (
      <Select
        {...control}
        value={String(value)}
        choices={(field.choices ?? []).map((choice) => ({
          value: choice,
          label: choiceInWords(choice),
        }))}
        onChange={onChange}
        className="w-full max-w-72"
      />
    );
  }
  return (
    <TextControl
      field={field}
      value={value}
      control={control}
      suggestions={suggestions}
      onChange={onChange}
    />
  );
}

const WIDE: ReadonlySet<FormField["kind"]> = new Set(["file", "folder", "model", "text", "list"]);

/** Keeps what is typed until it means something: "1e-" is on its way to "1e-4". */
function TextControl({ field, value, control, suggestions, onChange }: SettingControlProps) {
  const shown = wordsOf(value);
  const [text, setText] = useState(shown);
  // biome-ignore lint/correctness/useExhaustiveDependencies: typing must not be overwritten by its own value
  useEffect(() => {
    if (parseSetting(field, text).value !== value) {
      setText(shown);
    }
  }, [shown]);
  const listId = suggestions ? `${control.id}-list` : undefined;
  return (
    <>
      <Input
        {...control}
        value={text}
        list={listId}
        inputMode={field.kind === "integer" ? "numeric" : "text"}
        spellCheck={false}
        autoComplete="off"
        className={WIDE.has(field.kind) ? "w-full" : "w-40"}
        onChange={(event) => {
          setText(event.target.value);
          const { value: next, mistake } = parseSetting(field, event.target.value);
          onChange(next, mistake);
        }}
      />
      {suggestions ? (
        <datalist id={listId}>
          {suggestions.map((suggestion) => (
            <option key={suggestion.value} value={suggestion.value} label={suggestion.note} />
          ))}
        </datalist>
      ) : null}
    </>
  );
}
