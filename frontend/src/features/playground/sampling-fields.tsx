import { Dices } from "lucide-react";
import { Button } from "@/components/button";
import { Input } from "@/components/input";
import {
  drawnSeed,
  SAMPLING_FIELDS,
  type SamplingText,
  wrongIn,
} from "@/features/playground/sampling";

interface SamplingFieldsProps {
  text: SamplingText;
  onChange: (text: SamplingText) => void;
}

/** Temperature, top p, seed and length, two in a row. */
export function SamplingFields({ text, onChange }: SamplingFieldsProps) {
  return (
    <div className="grid grid-cols-2 gap-x-2 gap-y-3">
      {SAMPLING_FIELDS.map((field) => {
        const wrong = wrongIn(field, text);
        const id = `sampling-${field.key}`;
        return (
          <div key={field.key} className="flex min-w-0 flex-col gap-1">
            <label htmlFor={id} className="font-medium">
              {field.label}
            </label>
            <span className="flex items-center gap-1">
              <Input
                id={id}
                aria-invalid={wrong !== ""}
                aria-describedby={wrong ? `${id}-wrong` : undefined}
                type="number"
                min={field.min}
                max={field.max}
                step={field.step}
                value={text[field.key]}
                onChange={(event) => onChange({ ...text, [field.key]: event.target.value })}
                className="grow"
              />
              {field.key === "seed" ? (
                <Button
                  look="quiet"
                  size="sm"
                  icon={<Dices aria-hidden />}
                  aria-label="Another seed"
                  title="Another seed; at temperature 0 it changes nothing"
                  onClick={() => onChange({ ...text, seed: drawnSeed() })}
                />
              ) : null}
            </span>
            {wrong ? (
              <span id={`${id}-wrong`} role="alert" className="text-sm text-bad">
                {wrong}
              </span>
            ) : null}
          </div>
        );
      })}
    </div>
  );
}
