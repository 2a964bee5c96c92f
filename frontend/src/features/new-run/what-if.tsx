import { useQuery } from "@tanstack/react-query";
import { formFields } from "@/api/planning";
import { Card } from "@/components/card";
import { Slider } from "@/components/slider";
import { Switch } from "@/components/switch";
import { settingOf, useDraft } from "@/features/new-run/draft";

const SLIDERS = [
  { key: "distillation.batch_size", min: 1, max: 32, step: 1 },
  { key: "distillation.max_generation_tokens", min: 32, max: 2048, step: 32 },
  { key: "distillation.num_steps", min: 10, max: 2000, step: 10 },
  { key: "distillation.lora.rank", min: 1, max: 128, step: 1 },
];
const SWITCHES = ["distillation.keep_teacher_loaded", "distillation.grad_checkpoint"];

/** What changes memory and time most; moving one asks for the forecast again. */
export function WhatIf() {
  const { config, set } = useDraft();
  const fields = useQuery(formFields()).data ?? [];
  const fieldOf = (key: string) => fields.find((field) => field.key === key);
  return (
    <Card title="What if">
      <div className="flex flex-col gap-3">
        {SLIDERS.map(({ key, min, max, step }) => {
          const field = fieldOf(key);
          const value = Number(settingOf(config, key) ?? field?.default ?? min);
          return (
            <div key={key}>
              <div className="num flex justify-between">
                <span>{field?.title ?? key}</span>
                <span>
                  {value} <span className="text-faint">{field?.unit}</span>
                </span>
              </div>
              <Slider
                label={field?.title ?? key}
                value={Math.min(value, max)}
                min={min}
                max={max}
                step={step}
                onChange={(next) => set(key, next)}
              />
            </div>
          );
        })}
        {SWITCHES.map((key) => {
          const field = fieldOf(key);
          return (
            <div key={key} className="flex items-start justify-between gap-3">
              <div>
                <p>{field?.title ?? key}</p>
                <p className="text-sm text-muted">{field?.help}</p>
              </div>
              <Switch
                label={field?.title ?? key}
                checked={(settingOf(config, key) ?? field?.default) === true}
                onChange={(next) => set(key, next)}
              />
            </div>
          );
        })}
      </div>
    </Card>
  );
}
