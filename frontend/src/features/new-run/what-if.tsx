import { useQuery } from "@tanstack/react-query";
import { formFields } from "@/api/planning";
import type { FormField } from "@/api/types";
import { Card } from "@/components/card";
import { Slider } from "@/components/slider";
import { Switch } from "@/components/switch";
import { useDraft, valueIn } from "@/features/new-run/draft";
import { fieldsOf, useMethod } from "@/features/new-run/methods";
import { relevantFields } from "@/features/new-run/relevance";

interface Range {
  name: string;
  min: number;
  max: number;
  step: number;
}

/** What changes memory and time most; a method shows those of them that it has. */
const SLIDERS: readonly Range[] = [
  { name: "num_samples", min: 1, max: 16, step: 1 },
  { name: "max_thinking_tokens", min: 64, max: 8192, step: 64 },
  { name: "batch_size", min: 1, max: 32, step: 1 },
  { name: "max_generation_tokens", min: 32, max: 2048, step: 32 },
  { name: "max_answer_tokens", min: 8, max: 1024, step: 8 },
  { name: "max_length", min: 64, max: 8192, step: 64 },
  { name: "num_steps", min: 10, max: 2000, step: 10 },
  { name: "num_epochs", min: 1, max: 20, step: 1 },
  { name: "lora.rank", min: 1, max: 128, step: 1 },
];
const SWITCHES = ["keep_teacher_loaded", "grad_checkpoint"];

/** The sliders of a method; one that may be empty and is would only show a value nobody gave. */
function useField() {
  const config = useDraft((draft) => draft.config);
  const method = useMethod();
  const fields = useQuery(formFields()).data ?? [];
  const relevant = relevantFields(fieldsOf(method, fields), config);
  return (name: string) => {
    const field = relevant.find(({ key }) => key === `${method.block}.${name}`);
    const value = field && valueIn(config, field);
    return field && value !== null ? { field, value } : undefined;
  };
}

/** Moving one asks for the forecast again. */
export function WhatIf() {
  const set = useDraft((draft) => draft.set);
  const find = useField();
  return (
    <Card title="What if">
      <div className="flex flex-col gap-3">
        {SLIDERS.map(({ name, ...range }) => {
          const found = find(name);
          return found ? (
            <SettingSlider
              key={name}
              field={found.field}
              value={Number(found.value)}
              {...range}
              onChange={(next) => set(found.field.key, next)}
            />
          ) : null;
        })}
        {SWITCHES.map((name) => {
          const found = find(name);
          return found ? (
            <div key={name} className="flex items-start justify-between gap-3">
              <div>
                <p>{found.field.title}</p>
                <p className="text-sm text-muted">{found.field.help}</p>
              </div>
              <Switch
                label={found.field.title}
                checked={found.value === true}
                onChange={(next) => set(found.field.key, next)}
              />
            </div>
          ) : null;
        })}
      </div>
    </Card>
  );
}

interface SettingSliderProps extends Omit<Range, "name"> {
  field: FormField;
  value: number;
  onChange: (value: number) => void;
}

function SettingSlider({ field, value, min, max, step, onChange }: SettingSliderProps) {
  return (
    <div>
      <div className="num flex justify-between">
        <span>{field.title}</span>
        <span>
          {value} <span className="text-faint">{field.unit}</span>
        </span>
      </div>
      <Slider
        label={field.title}
        value={Math.min(value, max)}
        min={min}
        max={max}
        step={step}
        onChange={onChange}
      />
    </div>
  );
}
