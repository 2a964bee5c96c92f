import { expect, test } from "vitest";
import { inWords } from "@/features/new-run/setting-words";

const TITLES = new Map([
  ["num_steps", "Optimizer steps"],
  ["prompts", "Training prompts"],
]);

test("a description names other settings as the screen does", () => {
  expect(inWords("when set, num_steps means nothing.", TITLES)).toBe(
    "when set, \u201cOptimizer steps\u201d means nothing.",
  );
  expect(inWords("training also needs `prompts`.", TITLES)).toBe(
    "training also needs \u201cTraining prompts\u201d.",
  );
});

test("choices are named as the list beside names them", () => {
  expect(inWords("reverse_kl is exact, jsd lies between.", TITLES, ["reverse_kl", "jsd"])).toBe(
    "Reverse KL is exact, JSD lies between.",
  );
});

test("plain words, commands and what is no setting stay as they are", () => {
  for (const text of [
    "of prompts",
    "`opd plan`",
    "q_proj",
    "configs/num_steps.yaml",
    "/num_steps",
  ]) {
    expect(inWords(text, TITLES)).toBe(text);
  }
});
