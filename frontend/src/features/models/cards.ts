import type { ModelChoice } from "@/api/types";
import {
  bestForm,
  type CatalogModel,
  type ChoiceMap,
  type ModelForm,
  rankOf,
  type Verdict,
  verdictOf,
} from "@/features/models/catalog";

export interface ModelFilter {
  words: string;
  where: "all" | "here";
  family: string;
  thinking: boolean;
  vision: boolean;
  fits: boolean;
}

export const NO_FILTER: ModelFilter = {
  words: "",
  where: "all",
  family: "",
  thinking: false,
  vision: false,
  fits: false,
};

export interface CardModel {
  model: CatalogModel;
  form: ModelForm;
  choice: ModelChoice | undefined;
  verdict: Verdict | null;
}

/**
 * The cards of a list that pass the filter: usable ones first, of them those on this machine. The model
 * that is chosen, by name, is shown in the form that is.
 */
export function cardsOf(
  models: readonly CatalogModel[],
  filter: ModelFilter,
  choices: ChoiceMap | null,
  chosen = "",
): CardModel[] {
  return models
    .map((model) => {
      const form = model.forms.find(({ name }) => name === chosen) ?? bestForm(model, choices);
      return {
        model,
        form,
        choice: choices?.get(form.name),
        verdict: verdictOf(form, choices),
      };
    })
    .filter((card) => passes(card, filter))
    .sort(
      (a, b) =>
        Number(isUseless(a)) - Number(isUseless(b)) ||
        Number(b.form.isHere) - Number(a.form.isHere) ||
        rankOf(a.verdict) - rankOf(b.verdict) ||
        (b.model.parameters ?? 0) - (a.model.parameters ?? 0),
    );
}

/** Whether it cannot take the place: for its tokens, or because the method cannot use such a model. */
function isUseless({ choice }: CardModel): boolean {
  return choice?.speaks === "other" || (choice !== undefined && choice.problem !== null);
}

function passes({ model, verdict }: CardModel, filter: ModelFilter): boolean {
  const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [model.title, model.family, ...model.forms.flatMap((f) => [f.name, f.hubId])]
    .join(" ")
    .toLowerCase();
  return (
    words.every((word) => text.includes(word)) &&
    (filter.where === "all" || model.forms.some(({ isHere }) => isHere)) &&
    (filter.family === "" || model.family === filter.family) &&
    (!filter.thinking || (model.thinking !== null && model.thinking !== "never")) &&
    (!filter.vision || model.vision) &&
    (!filter.fits || verdict === "fits" || verdict === "tight")
  );
}

/** The families there are, by name. */
export function familiesOf(models: readonly CatalogModel[]): string[] {
  return [...new Set(models.map(({ family }) => family))].filter(Boolean).sort();
}
