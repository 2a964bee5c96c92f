import clsx from "clsx";
import type { ReactNode } from "react";
import type { FormField } from "@/api/types";
import { Badge } from "@/components/badge";
import { Skeleton } from "@/components/states";
import { Segments } from "@/components/tabs";
import { type CatalogModel, findForm, type ModelForm } from "@/features/models/catalog";
import { DownloadButton } from "@/features/models/download-button";
import { formatParameters, sizeOf } from "@/features/models/model-card";
import { useDraft, valueIn } from "@/features/new-run/draft";
import { SettingField, type Suggestion } from "@/features/new-run/setting-field";

interface ModelSlotProps {
  field: FormField;
  catalog: readonly CatalogModel[];
  isActive: boolean;
  onActivate: () => void;
}

/** A model of the run: its name, which may be typed, what it is, and in which form. */
export function ModelSlot({ field, catalog, isActive, onActivate }: ModelSlotProps) {
  const name = useDraft(({ config }) => String(valueIn(config, field) ?? ""));
  const set = useDraft((draft) => draft.set);
  const found = findForm(catalog, name);
  const suggestions = suggestionsOf(catalog);
  return (
    <section
      aria-label={field.title}
      onFocusCapture={onActivate}
      className={clsx(
        "flex min-w-0 flex-col gap-2 rounded-lg border bg-surface p-3",
        isActive && "border-accent",
      )}
    >
      <SettingField field={field} suggestions={suggestions} />
      <div className="num flex min-h-6 flex-wrap items-center gap-x-2 gap-y-1 text-muted">
        {found ? (
          <Facts model={found.model} form={found.form}>
            <FormChoice
              model={found.model}
              form={found.form}
              label={`Form of the ${field.title.toLowerCase()}`}
              onChange={(next) => set(field.key, next)}
            />
          </Facts>
        ) : catalog.length === 0 ? (
          <Skeleton className="h-4 w-48" />
        ) : (
          <span>{name === "" ? "Choose one below." : "Not among the models below."}</span>
        )}
      </div>
    </section>
  );
}

/** The names that may be typed for a model: every form that is here, and one of each that is not. */
export function suggestionsOf(catalog: readonly CatalogModel[]): Suggestion[] {
  return catalog.flatMap(({ forms }) =>
    forms
      .filter(({ isHere }, index) => isHere || index === 0)
      .map((form) => ({
        value: form.name,
        note: form.isHere ? "on this machine" : "is downloaded first",
      })),
  );
}

interface FactsProps {
  model: CatalogModel;
  form: ModelForm;
  children: ReactNode;
}

function Facts({ model, form, children }: FactsProps) {
  const facts = [
    model.family,
    formatParameters(model.parameters),
    form.precision,
    sizeOf(form.gigabytes),
  ];
  return (
    <>
      <span className="truncate">{facts.filter(Boolean).join(" · ")}</span>
      {form.isHere ? <Badge tone="good">on disk</Badge> : <Badge>to download</Badge>}
      {model.trains ? null : <Badge tone="warn">cannot train</Badge>}
      {children}
      <span className="ml-auto">
        <DownloadButton form={form} />
      </span>
    </>
  );
}

interface FormChoiceProps {
  model: CatalogModel;
  form: ModelForm;
  label: string;
  onChange: (name: string) => void;
}

function FormChoice({ model, form, label, onChange }: FormChoiceProps) {
  return model.forms.length > 1 ? (
    <Segments
      label={label}
      value={form.name}
      choices={[...model.forms]
        .sort((a, b) => (b.gigabytes ?? 0) - (a.gigabytes ?? 0))
        .map(({ name, precision }) => ({ value: name, label: precision }))}
      onChange={onChange}
    />
  ) : null;
}
