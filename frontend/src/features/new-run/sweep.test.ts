import { expect, test } from "vitest";
import type { FormField } from "@/api/types";
import { configOf, tagOf, variantsOf, variedFields } from "@/features/new-run/sweep";

const FIELD: FormField = {
  key: "distillation.learning_rate",
  title: "Learning rate",
  help: "",
  kind: "number",
  group: "optimizer",
  unit: "",
  advanced: false,
  nullable: false,
  default: 1e-5,
  minimum: null,
  maximum: null,
  above: 0,
  below: null,
  max_length: null,
  choices: [],
  parts: [],
};

test("each value is a run of its own that is named by it", () => {
  const { variants, mistake } = variantsOf(FIELD, "1e-4, 3e-4,1e-3,", "dates");
  expect(mistake).toBeUndefined();
  expect(variants).toEqual([
    { value: 1e-4, name: "dates: Learning rate 0.0001" },
    { value: 3e-4, name: "dates: Learning rate 0.0003" },
    { value: 1e-3, name: "dates: Learning rate 0.001" },
  ]);
  const config = { method: "on_policy", distillation: { learning_rate: 1, seed: 3 } };
  const [first] = variants;
  expect(first && configOf(config, FIELD.key, first)).toEqual({
    method: "on_policy",
    distillation: { learning_rate: 1e-4, seed: 3 },
  });
});

test("a value that the setting does not take is named, and no run is made", () => {
  expect(variantsOf(FIELD, "1e-4, 0", "x")).toEqual({ variants: [], mistake: "0: More than 0." });
  expect(variantsOf(FIELD, "1e-4, fast", "x").mistake).toBe("fast: Type a number.");
  const choice = { ...FIELD, kind: "choice" as const, choices: ["jsd", "reverse_kl"] };
  expect(variantsOf(choice, "jsd, kl", "x").mistake).toBe("kl: One of jsd, reverse_kl.");
  const toggle = { ...FIELD, kind: "boolean" as const };
  expect(variantsOf(toggle, "true, false", "x").variants.map(({ value }) => value)).toEqual([
    true,
    false,
  ]);
});

test("one value, or the same twice, is no sweep, and more than can be compared are refused", () => {
  expect(variantsOf(FIELD, "1e-4, 0.0001", "x").mistake).toMatch(/two or more/);
  expect(variantsOf(FIELD, "1,2,3,4,5,6,7,8", "x").variants).toHaveLength(8);
  expect(variantsOf(FIELD, "1,2,3,4,5,6,7,8,9", "x").mistake).toMatch(/At most 8/);
});

test("names and tags stay within what a run may be called", () => {
  const [first] = variantsOf(FIELD, "1,2", "n".repeat(200)).variants;
  expect(first?.name).toHaveLength(120);
  expect(first?.name.endsWith(": Learning rate 1")).toBe(true);
  const tag = tagOf(FIELD.key, new Date("2026-11-30T19:05:00Z"));
  expect(tag).toBe("learning_rate-2026-11-30-1905");
  expect(variedFields([FIELD, { ...FIELD, kind: "file" }])).toEqual([FIELD]);
});
