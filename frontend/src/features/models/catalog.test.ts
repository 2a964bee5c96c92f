import { expect, test } from "vitest";
import type { KnownEntry, LocalModel, ModelChoice, ModelList } from "@/api/types";
import { cardsOf, NO_FILTER } from "@/features/models/cards";
import { bestForm, catalogOf, findForm } from "@/features/models/catalog";

function local(name: string, part: Partial<LocalModel> = {}): LocalModel {
  return {
    id: `folder--${name}`,
    name: `/models/${name}`,
    origin: "folder",
    alias: null,
    path: `/models/${name}`,
    disk_bytes: 1,
    is_complete: true,
    family: "qwen2",
    bits: 16,
    precision: "16 bit",
    parameters: 7_000_000,
    weights_gb: 0.014,
    verdict: "fits",
    logit_width: 1,
    vocab_size: 1,
    tokens: "abc",
    thinking: "never",
    vision: false,
    trains: true,
    has_template: true,
    problem: null,
    used_by: [],
    ...part,
  };
}

function known(alias: string, billions: number, part: Partial<KnownEntry> = {}): KnownEntry {
  const form = (name: string, bits: number) => ({
    form: bits === 16 ? ("bf16" as const) : ("4bit" as const),
    name,
    hub_id: `org/${name}`,
    precision: `${bits} bit`,
    weights_gb: (billions * bits) / 8,
    verdict: "fits" as const,
    local_id: null,
    is_here: false,
  });
  return {
    alias,
    aliases: [`${alias}-too`],
    family: "qwen2",
    parameters: billions * 1e9,
    tokenizer: "t",
    vocab_size: 1,
    logit_width: 1,
    thinking: "never",
    vision: false,
    instruct: true,
    trains: true,
    lora_targets: [],
    forms: [form(alias, 16), form(`${alias}-4bit`, 4)],
    ...part,
  };
}

function list(knowns: KnownEntry[], locals: LocalModel[] = []): ModelList {
  return { known: knowns, local: locals, limit_gb: 20, cache_dir: "", free_gb: 1 };
}

function choices(verdicts: Record<string, ModelChoice["verdict"]>) {
  return new Map(
    Object.entries(verdicts).map(([name, verdict]) => [
      name,
      { name, verdict, needed_gb: 1, seconds: 1, speaks: "same" as const, problem: null },
    ]),
  );
}

test("what is here under a known name is a form of it, and anything else a card of its own", () => {
  const mine = local("mine");
  const hub = local("q", { id: "models--org--q", name: "org/q", origin: "hub" });
  const entry = known("q", 7);
  const forms = entry.forms.map((form, index) =>
    index === 0 ? { ...form, is_here: true, local_id: hub.id } : form,
  );
  const models = catalogOf(list([{ ...entry, forms }], [hub, mine]));
  expect(models.map(({ title }) => title)).toEqual(["q", "mine"]);
  expect(models[0]?.forms.map(({ isHere }) => isHere)).toEqual([true, false]);
});

test("the most exact form that fits beside the other is taken, and one that is here before it", () => {
  const [model] = catalogOf(list([known("q", 7)]));
  if (!model) throw new Error("no model");
  const name = (verdicts: Record<string, ModelChoice["verdict"]>) =>
    bestForm(model, choices(verdicts)).name;
  expect(name({ q: "fits", "q-4bit": "fits" })).toBe("q");
  expect(name({ q: "tight", "q-4bit": "fits" })).toBe("q-4bit");
  expect(name({ q: "does_not_fit", "q-4bit": "tight" })).toBe("q-4bit");
  expect(name({ q: "does_not_fit", "q-4bit": "does_not_fit" })).toBe("q-4bit");
  const here = {
    ...model,
    forms: model.forms.map((form, index) => ({ ...form, isHere: index === 1 })),
  };
  expect(bestForm(here, choices({ q: "fits", "q-4bit": "tight" })).name).toBe("q-4bit");
  expect(bestForm(here, choices({ q: "fits", "q-4bit": "does_not_fit" })).name).toBe("q");
});

test("cards that can be used at once come first, then those that fit, the largest first", () => {
  const models = catalogOf(list([known("a", 1), known("b", 70), known("c", 7)], [local("mine")]));
  const found = choices({ a: "fits", b: "does_not_fit", c: "fits", "/models/mine": "fits" });
  const titles = cardsOf(models, NO_FILTER, found).map(({ model }) => model.title);
  expect(titles).toEqual(["mine", "c", "a", "b"]);
  const useless = new Map<string, ModelChoice>(found);
  const change = (name: string, part: Partial<ModelChoice>) => {
    const before = found.get(name);
    if (!before) throw new Error(name);
    useless.set(name, { ...before, ...part });
  };
  change("/models/mine", { verdict: null, problem: "It sees no pictures." });
  change("c", { speaks: "other" });
  const last = cardsOf(models, NO_FILTER, useless).map(({ model }) => model.title);
  expect(last).toEqual(["a", "b", "mine", "c"]);
});

test("every filter leaves only what it says", () => {
  const models = catalogOf(
    list(
      [
        known("thinker", 1, { thinking: "always" }),
        known("seer", 2, { vision: true, family: "qwen3_vl" }),
      ],
      [local("mine")],
    ),
  );
  const titles = (filter: Partial<typeof NO_FILTER>, verdicts = {}) =>
    cardsOf(models, { ...NO_FILTER, ...filter }, choices(verdicts)).map(({ model }) => model.title);
  expect(titles({ thinking: true })).toEqual(["thinker"]);
  expect(titles({ vision: true })).toEqual(["seer"]);
  expect(titles({ family: "qwen3_vl" })).toEqual(["seer"]);
  expect(titles({ where: "here" })).toEqual(["mine"]);
  expect(titles({ words: "SEER 4bit" })).toEqual(["seer"]);
  expect(titles({ words: "nothing" })).toEqual([]);
  expect(titles({ fits: true }, { thinker: "tight", seer: "does_not_fit" })).toEqual(["thinker"]);
});

test("the model that is chosen is shown in the form that is chosen", () => {
  const models = catalogOf(list([known("q", 7)]));
  const form = (chosen: string) => cardsOf(models, NO_FILTER, null, chosen)[0]?.form.name;
  expect([form(""), form("q-4bit"), form("other")]).toEqual(["q", "q-4bit", "q"]);
});

test("a config's name is found by form, hub id or another alias", () => {
  const models = catalogOf(list([known("q", 7)]));
  expect(findForm(models, "q-4bit")?.form.precision).toBe("4 bit");
  expect(findForm(models, "org/q")?.form.name).toBe("q");
  expect(findForm(models, "q-too")?.form.name).toBe("q");
  expect(findForm(models, "other")).toBeNull();
});

test("a list of 200 models is shown and filtered whole", () => {
  const models = catalogOf(list(Array.from({ length: 200 }, (_, i) => known(`m${i}`, i + 1))));
  expect(cardsOf(models, NO_FILTER, null)).toHaveLength(200);
  expect(cardsOf(models, { ...NO_FILTER, words: "m19" }, null)).toHaveLength(11);
});
