import type { KnownEntry, LocalModel, ModelChoice, ModelList } from "@/api/types";

export type Verdict = NonNullable<ModelChoice["verdict"]>;

/** One way to have a model's weights: a download of so many bits, or files on this machine. */
export interface ModelForm {
  /** What a config calls it. */
  name: string;
  precision: string;
  gigabytes: number | null;
  hubId: string | null;
  local: LocalModel | null;
  isHere: boolean;
  /** Whether the weights fit with nothing beside them. */
  alone: Verdict | null;
}

/** A model as a card shows it, with every form there is of it. */
export interface CatalogModel {
  id: string;
  title: string;
  family: string;
  parameters: number | null;
  thinking: KnownEntry["thinking"] | null;
  vision: boolean;
  trains: boolean;
  known: KnownEntry | null;
  problem: string | null;
  forms: readonly ModelForm[];
}

/** What is known and what is here as one list: what is here under a known name is a form of it. */
export function catalogOf(list: ModelList): CatalogModel[] {
  const local = new Map(list.local.map((model) => [model.id, model]));
  const known = list.known.map((entry) => ofKnown(entry, local));
  const claimed = new Set(known.flatMap(({ forms }) => forms.map(({ local }) => local?.id)));
  const others = list.local.filter(({ id }) => !claimed.has(id)).map(ofLocal);
  return [...known.filter(({ forms }) => forms.length > 0), ...others];
}

function ofKnown(entry: KnownEntry, local: ReadonlyMap<string, LocalModel>): CatalogModel {
  const forms = entry.forms
    .filter((form) => form.is_here || form.hub_id)
    .map((form): ModelForm => {
      const found = form.local_id ? (local.get(form.local_id) ?? null) : null;
      return {
        name: form.name,
        precision: form.precision,
        gigabytes: form.weights_gb,
        hubId: form.hub_id,
        local: found,
        isHere: form.is_here,
        alone: form.verdict,
      };
    });
  return {
    id: entry.alias,
    title: entry.alias,
    family: entry.family,
    parameters: entry.parameters ?? parametersOf(forms),
    thinking: entry.thinking,
    vision: entry.vision,
    trains: entry.trains,
    known: entry,
    problem: forms.find(({ local }) => local?.problem)?.local?.problem ?? null,
    forms,
  };
}

function ofLocal(model: LocalModel): CatalogModel {
  return {
    id: model.id,
    title: model.origin === "folder" ? (model.name.split("/").at(-1) ?? model.name) : model.name,
    family: model.family,
    parameters: model.parameters,
    thinking: model.thinking,
    vision: model.vision,
    trains: model.trains,
    known: null,
    problem: model.problem,
    forms: [
      {
        name: model.name,
        precision: model.precision ?? "–",
        gigabytes: model.weights_gb,
        hubId: model.origin === "hub" ? model.name : null,
        local: model,
        isHere: model.is_complete,
        alone: model.verdict,
      },
    ],
  };
}

function parametersOf(forms: readonly ModelForm[]): number | null {
  return forms.find(({ local }) => local?.parameters)?.local?.parameters ?? null;
}

export type ChoiceMap = ReadonlyMap<string, ModelChoice>;

/** Whether a form fits: beside the other model where that is asked, else alone. */
export function verdictOf(form: ModelForm, choices: ChoiceMap | null): Verdict | null {
  return choices ? (choices.get(form.name)?.verdict ?? null) : form.alone;
}

const RANKS: Readonly<Record<Verdict, number>> = { fits: 0, tight: 1, does_not_fit: 3 };

export function rankOf(verdict: Verdict | null): number {
  return verdict === null ? 2 : RANKS[verdict];
}

/** The form one would take: one that is here and runs, else the most exact that fits, else the smallest. */
export function bestForm(model: CatalogModel, choices: ChoiceMap | null): ModelForm {
  const rank = (form: ModelForm) => rankOf(verdictOf(form, choices));
  const away = (form: ModelForm) => Number(!(form.isHere && rank(form) < RANKS.does_not_fit));
  const size = (form: ModelForm) =>
    (rank(form) < RANKS.does_not_fit ? -1 : 1) * (form.gigabytes ?? 0);
  const sorted = [...model.forms].sort(
    (a, b) => away(a) - away(b) || rank(a) - rank(b) || size(a) - size(b),
  );
  const first = sorted[0];
  if (!first) {
    throw new Error(`${model.id} has no form.`);
  }
  return first;
}

/** The model that a config names, and the form. */
export function findForm(
  models: readonly CatalogModel[],
  name: string,
): { model: CatalogModel; form: ModelForm } | null {
  for (const model of models) {
    const form =
      model.forms.find((each) => each.name === name || each.hubId === name) ??
      (model.known?.aliases.includes(name) ? model.forms[0] : undefined);
    if (form) {
      return { model, form };
    }
  }
  return null;
}
