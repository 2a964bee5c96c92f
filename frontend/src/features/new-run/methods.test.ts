import { expect, test } from "vitest";
import type { FormField, KindFacts, Preset } from "@/api/types";
import { slotsOf } from "@/features/new-run/files";
import { fieldsOf, isOf, methodOf, methodsOf, presetsOf } from "@/features/new-run/methods";

function kind(name: string, block: string): KindFacts {
  return { name, block } as unknown as KindFacts;
}

const METHODS = methodsOf([
  kind("on_policy", "distillation"),
  kind("sft", "sft"),
  kind("evaluation", "evaluation"),
]);

function preset(name: string, method: string): Preset {
  return { name, config: { method } } as unknown as Preset;
}

test("an evaluation is no method", () => {
  expect(METHODS.map(({ name }) => name)).toEqual(["on_policy", "sft"]);
});

test("a draft that is not begun is of the first method, and so is a foreign one", () => {
  expect(methodOf(METHODS, {}).name).toBe("on_policy");
  expect(methodOf(METHODS, { method: "sft" }).block).toBe("sft");
  const foreign = { method: "grpo" };
  expect(isOf(methodOf(METHODS, foreign), foreign)).toBe(false);
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
  const found = fieldsOf(methodOf(METHODS, {}), fields);
  expect(found.map(({ key }) => key)).toEqual(["distillation.seed"]);
});

test("a file is asked for as what it holds, and said to be required where it is", () => {
  const file = { title: "", holds: "conversations", part: "prompts", needed: "a file." } as const;
  const [one, other] = slotsOf({
    block: "sft",
    files: [
      { ...file, key: "conversations", required: true },
      { ...file, key: "validation_conversations", required: false },
    ],
  });
  expect(one).toMatchObject({ key: "sft.conversations", noun: "Conversations" });
  expect([one?.needed, other?.needed]).toEqual(["Required: a file.", "a file."]);
});
