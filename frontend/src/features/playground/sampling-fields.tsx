import { Dices } from "lucide-react";
import { Button } from "@/components/button";
import { Input } from "@/components/input";
import { SAMPLING_FIELDS, type SamplingText, wrongIn } from "@/features/playground/sampling";

interface SamplingFieldsProps {
  text: SamplingText;
  onChange: (text: SamplingText) => void;
}

const DRAWN_SEEDS = 100_000;

/** Temperature, top p, seed and length in one line. */
export function SamplingFields({ text, onChange }: SamplingFieldsProps) {
  return (
    <>
      {SAMPLING_FIELDS.map((field) => {
        const wrong = wrongIn(field, text);
        return (
          <label
            key={field.key}
            htmlFor={`sampling-${field.key}`}
            className="flex items-center gap-2 text-muted"
          >
            {field.label}
            <Input
              id={`sampling-${field.key}`}
              aria-invalid={wrong !== ""}
              title={wrong || undefined}
              type="number"
              min={field.min}
              max={field.max}
              step={field.step}
              value={text[field.key]}
              onChange={(event) => onChange({ ...text, [field.key]: event.target.value })}
              className={field.key === "seed" || field.key === "max_tokens" ? "w-24" : "w-18"}
            />
          </label>
        );
      })}
      <Button
        look="quiet"
        icon={<Dices aria-hidden />}
        aria-label="Another seed"
        title="Another seed; at temperature 0 it changes nothing"
        onClick={() => onChange({ ...text, seed: String(Math.floor(Math.random() * DRAWN_SEEDS)) })}
      />
    </>
  );
}
