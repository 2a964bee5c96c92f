import { expect, test } from "vitest";
import type { FormField, Preset } from "@/api/types";
import { FILES } from "@/features/new-run/files";
import { fieldsOf, METHODS, methodOf, presetsOf } from "@/features/new-run/methods";

function preset(name: string, method: string): Preset {
  return { name, config: { method } } as unknown as Preset;
}

test("a draft without a known method is on-policy", () => {
  expect(methodOf({}).id).toBe("on_policy");
  expect(methodOf({ method: "evaluation" }).id).toBe("on_policy");
  expect(methodOf({ method: "sft" }).block).toBe("sft");
});

test("a method's demonstration comes first and others' presets are left out", () => {
  const known = [preset("default", "on_policy"), preset("p/x", "sft"), preset("demo", "on_policy")];
  expect(presetsOf("on_policy", known).map(({ name }) => name)).toEqual(["demo", "default"]);
  expect(presetsOf("prompt_distillation", known)).toEqual([]);
});

test("a field belongs to the method whose block it is in, unless it leaves no choice", () => {
  const fields = [
    { key: "distillation.seed" },
    { key: "prompt_distillation.seed" },
    { key: "distillation.logprob_method", choices: ["manual_loop"] },
  ] as unknown as FormField[];
  expect(fieldsOf(methodOf({}), fields).map(({ key }) => key)).toEqual(["distillation.seed"]);
});

test("every file of a method is a setting of its block", () => {
  for (const { id, block } of METHODS) {
    expect(FILES[id].every(({ key }) => key.startsWith(`${block}.`))).toBe(true);
    expect(FILES[id].some(({ part }) => part === "validation")).toBe(true);
  }
});
