import { expect, test } from "vitest";
import type { Comparison, KindFacts } from "@/api/types";
import {
  parted,
  settingText,
  unitOf,
  valueText,
  whatDoesNotCompare,
} from "@/features/compare/measured";
import { keyName } from "@/features/runs/key-names";

function metric(key: string, title: string, unit: string, isMeasured = true) {
  return { key, title, unit, values: [isMeasured ? { last: 1 } : null], deltas: [null] };
}

const DATA = {
  metrics: [
    metric("agreement", "Agreement", "share"),
    metric("eval_agreement", "Agreement", "share"),
    metric("evictions", "Evictions", "", false),
    metric("num_tokens", "Tokens", "tokens"),
  ],
  settings: [],
} as unknown as Comparison;

const inWords = (key: string) => keyName(key, new Map());

function differingIn(...keys: string[]): Comparison {
  return { ...DATA, settings: keys.map((key) => ({ key, values: [1, 2] })) };
}

test("what is held out and what is training stand apart, and what nobody measured is left out", () => {
  const [heldOut, inTraining] = parted(DATA);
  expect(heldOut.map(({ key }) => key)).toEqual(["eval_agreement"]);
  expect(inTraining.map(({ key }) => key)).toEqual(["agreement", "num_tokens"]);
});

test("shares are percentages, and a unit is not said twice", () => {
  expect(DATA.metrics.map(unitOf)).toEqual(["%", "%", "", ""]);
  const [, , , tokens] = DATA.metrics;
  expect(tokens && unitOf({ ...tokens, title: "Sampling", unit: "s" })).toBe("s");
  expect(valueText(0.787, "share")).toBe("78.7");
});

test("different held-out data and different losses are said to be different", () => {
  expect(whatDoesNotCompare(differingIn("distillation.learning_rate"), inWords)).toEqual([]);
  const [heldOut, trained] = whatDoesNotCompare(
    differingIn("distillation.eval_prompts", "distillation.temperature"),
    inWords,
  );
  expect(heldOut).toContain("(Eval prompts)");
  expect(trained).toContain("(Temperature)");
});

test("whatever changes what is held out, or what a loss means, is named", () => {
  for (const key of ["eval_fraction", "max_generation_tokens", "keep_teacher_loaded", "seed"]) {
    const [said] = whatDoesNotCompare(differingIn(`distillation.${key}`), inWords);
    expect(said).toContain(`(${inWords(key)})`);
  }
  expect(whatDoesNotCompare(differingIn("distillation.teacher_weight"), inWords)).toEqual([
    expect.stringContaining("(Teacher weight)"),
  ]);
});

test("values of settings are words", () => {
  const kinds = [{ name: "sft", title: "Supervised fine-tuning" }] as unknown as KindFacts[];
  expect(settingText("method", "sft", kinds)).toBe("Supervised fine-tuning");
  expect(settingText("distillation.grad_checkpoint", false, kinds)).toBe("no");
  expect(settingText("sft.model", "sft", kinds)).toBe("sft");
});
