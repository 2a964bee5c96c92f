import clsx from "clsx";
import type { ExportForm, ExportOptions } from "@/api/types";
import { formatBytes } from "@/components/format";
import { expectedBytes, FORM_WORDS, type Packing } from "@/features/export/forms";

interface FormChoiceProps {
  options: ExportOptions;
  packing: Packing;
  form: ExportForm;
  onForm: (form: ExportForm) => void;
}

/** The forms as radio buttons; one that is not possible says why. */
export function FormChoice({ options, packing, form, onForm }: FormChoiceProps) {
  return (
    <fieldset className="grid gap-2 md:grid-cols-2">
      <legend className="sr-only">Form</legend>
      {options.forms.map((option) => {
        const words = FORM_WORDS[option.form];
        const bytes = expectedBytes(options, option.form, packing);
        const isPossible = option.obstacle === null;
        return (
          <label
            key={option.form}
            className={clsx(
              "flex items-start gap-2 rounded-md border p-2",
              isPossible ? "hover:bg-hover" : "cursor-not-allowed",
              form === option.form && "border-accent bg-selected",
            )}
          >
            <input
              type="radio"
              name="form"
              className="mt-0.75 accent-accent"
              checked={form === option.form}
              disabled={!isPossible}
              onChange={() => onForm(option.form)}
            />
            <span className="min-w-0 grow">
              <span className="num flex justify-between gap-2 font-medium">
                <span className={isPossible ? "" : "text-muted"}>{words.title}</span>
                {isPossible && bytes !== null ? (
                  <span className="font-normal text-muted">{formatBytes(bytes)}</span>
                ) : null}
              </span>
              <span className="block text-sm text-muted">{option.obstacle ?? words.what}</span>
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}
