import { expect, test } from "vitest";
import type { MappedPair, Outlook, PairMap, Preset } from "@/api/types";
import { baseOf, basesOf, rowsOf, savingsOf, settingsOfCell } from "@/features/map/rows";

function outlook(verdict: Outlook["verdict"], changes: Outlook["changes"] = {}): Outlook {
  return { verdict, needed_gb: 10, step_seconds: 1, seconds: 3600, changes };
}

function pair(teacher: string, student: string, ...outlooks: Outlook[]): MappedPair {
  const model = (name: string) => ({
    name,
    alias: name,
    family: name.split("-")[0] ?? name,
    precision: "4 bit",
    parameters: 1,
    weights_gb: 1,
    is_here: false,
  });
  return { teacher: model(teacher), student: model(student), outlooks };
}

const SMALL = pair("qwen3-8b", "qwen3-1b", outlook("fits"), outlook("tight"));
const HALF = pair("llama-8b", "llama-1b", outlook("tight"), outlook("does_not_fit"));
const LARGE = pair("qwen3-235b", "qwen3-8b", outlook("does_not_fit"), outlook("does_not_fit"));
const MAP: PairMap = {
  lengths: [256, 512],
  pairs: [SMALL, HALF, LARGE],
  chip: "m4",
  limit_gb: 20,
  num_steps: 100,
  rows_per_step: 8,
  prompts: "",
};

test("pairs that fit at no length are left out, and words are looked for in both names", () => {
  const filter = { words: "", family: "", fits: true };
  expect(rowsOf(MAP, filter)).toEqual([SMALL, HALF]);
  expect(rowsOf(MAP, { ...filter, fits: false })).toHaveLength(3);
  expect(rowsOf(MAP, { ...filter, words: "8b QWEN3", fits: false })).toEqual([SMALL, LARGE]);
  expect(rowsOf(MAP, { ...filter, family: "llama" })).toEqual([HALF]);
});

test("a cell stands for its pair, its length and what it needs to fit", () => {
  const found = outlook("fits", { batch_size: 1, gradient_accumulation_steps: 8 });
  expect(settingsOfCell(SMALL, 512, found)).toEqual({
    teacher_model: "qwen3-8b",
    student_model: "qwen3-1b",
    max_generation_tokens: 512,
    batch_size: 1,
    gradient_accumulation_steps: 8,
  });
  expect(savingsOf(found)).toBe("one row is learned from at a time");
  expect(savingsOf(outlook("fits"))).toBe("");
});

test("a map begins with the recommended preset, until another one is chosen", () => {
  const preset = (name: string, recommended: boolean, settings: object): Preset =>
    ({ name, recommended, config: { method: "on_policy", distillation: settings } }) as never;
  const pair = { teacher_model: "t", student_model: "s", max_generation_tokens: 512 };
  const bases = basesOf([
    preset("default", false, pair),
    preset("alone", true, { student_model: "s" }),
    preset("pure", true, pair),
  ]);
  expect(bases.map(({ preset, block }) => [preset.name, block])).toEqual([
    ["default", "distillation"],
    ["pure", "distillation"],
  ]);
  expect(baseOf(bases, null)?.preset.name).toBe("pure");
  expect(baseOf(bases, "default")?.preset.name).toBe("default");
  expect(baseOf(bases.slice(0, 1), null)?.preset.name).toBe("default");
  expect(baseOf([], null)).toBeUndefined();
});
