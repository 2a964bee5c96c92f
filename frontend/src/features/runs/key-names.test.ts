import { expect, test } from "vitest";
import { filterText, keyName } from "@/features/runs/key-names";

const TITLES = new Map([
  ["distillation.num_steps", "Optimizer steps"],
  ["eval_agreement", "Agreement"],
]);

test("a key is said by the title of its definition", () => {
  expect(keyName("distillation.num_steps", TITLES)).toBe("Optimizer steps");
  expect(keyName("eval_agreement", TITLES)).toBe("Agreement");
  expect(keyName("teacher", TITLES)).toBe("Teacher");
});

test("a key that nobody named is words all the same", () => {
  expect(keyName("distillation.teacher_order", TITLES)).toBe("Teacher order");
});

test("a filter shows its key in words", () => {
  expect(filterText("eval_agreement>=0.9", (key) => keyName(key, TITLES))).toBe("Agreement >= 0.9");
});
