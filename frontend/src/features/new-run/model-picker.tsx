import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { modelChoices } from "@/api/planning";
import type { FormField } from "@/api/types";
import { Card } from "@/components/card";
import { EmptyState, Skeleton } from "@/components/states";
import { Segments } from "@/components/tabs";
import { AddFolder } from "@/features/models/add-folder";
import { cardsOf, familiesOf, NO_FILTER } from "@/features/models/cards";
import { type CatalogModel, findForm } from "@/features/models/catalog";
import { HubSearch } from "@/features/models/hub-search";
import { ModelFilterBar } from "@/features/models/model-filter";
import { ModelGrid } from "@/features/models/model-grid";
import { useDraft, valueIn } from "@/features/new-run/draft";
import { useRested } from "@/features/new-run/use-rested";

interface ModelPickerProps {
  fields: readonly FormField[];
  active: FormField;
  catalog: readonly CatalogModel[];
  /** Whether models with other tokens than the other one's are of no use. */
  sharesTokens: boolean;
  onActivate: (key: string) => void;
}

/** Every model for one place of the run, with what it would need beside what is chosen. */
export function ModelPicker({
  fields,
  active,
  catalog,
  sharesTokens,
  onActivate,
}: ModelPickerProps) {
  const config = useDraft((draft) => draft.config);
  const set = useDraft((draft) => draft.set);
  const name = useDraft((draft) => String(valueIn(draft.config, active) ?? ""));
  const [filter, setFilter] = useState(NO_FILTER);
  const key = active.key.split(".").at(-1) ?? "";
  const asked = useQuery(modelChoices(useRested(config), key));
  const answer = asked.data?.key === key ? asked.data : undefined;
  const choices = useMemo(
    () =>
      answer &&
      new Map(
        answer.choices.map((choice) => [
          choice.name,
          sharesTokens ? choice : { ...choice, speaks: null },
        ]),
      ),
    [answer, sharesTokens],
  );
  const cards = useMemo(
    () => cardsOf(catalog, filter, choices ?? null, name),
    [catalog, filter, choices, name],
  );
  const isReady = catalog.length > 0 && (choices !== undefined || asked.isError);
  return (
    <Card
      title={`Choose the ${active.title.toLowerCase()}`}
      actions={
        <>
          {fields.length > 1 ? (
            <Segments
              label="Which model is chosen"
              value={active.key}
              choices={fields.map((field) => ({ value: field.key, label: field.title }))}
              onChange={onActivate}
            />
          ) : null}
          <AddFolder size="sm" />
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <ModelFilterBar
          filter={filter}
          change={setFilter}
          families={familiesOf(catalog)}
          count={isReady ? cards.length : null}
          fitsLabel={fields.length > 1 ? "Fits with the other" : "Fits"}
        />
        {!isReady ? (
          <Skeleton className="h-96" />
        ) : cards.length === 0 ? (
          <div className="h-96">
            <EmptyState title="No models match">
              Change the filter, add a folder, or search the hub below.
            </EmptyState>
          </div>
        ) : (
          <ModelGrid
            key={active.key}
            label={active.title}
            cards={cards}
            chosen={findForm(catalog, name)?.model.id ?? null}
            onChoose={({ form }) => set(active.key, form.name)}
            className="h-96"
          />
        )}
        <HubSearch onChoose={(hubId) => set(active.key, hubId)} />
      </div>
    </Card>
  );
}
