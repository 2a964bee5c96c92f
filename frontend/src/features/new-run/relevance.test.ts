import { expect, test } from "vitest";
import type { FormField } from "@/api/types";
import { relevantFields } from "@/features/new-run/relevance";

function field(key: string, value: unknown): FormField {
  return { key, default: value } as unknown as FormField;
}

const FIELDS = [
  field("prompt_distillation.training", "sft"),
  field("prompt_distillation.kl_weight", 1),
  field("prompt_distillation.divergence", "reverse_kl"),
  field("prompt_distillation.teacher_weight", 0.5),
  field("prompt_distillation.num_samples", 1),
  field("prompt_distillation.acceptance", "majority"),
  field("prompt_distillation.num_epochs", null),
  field("prompt_distillation.num_steps", 100),
];

function shown(settings: Record<string, string | number>): string[] {
  return relevantFields(FIELDS, { prompt_distillation: settings }).map(({ key }) =>
    key.replace("prompt_distillation.", ""),
  );
}

test("what means nothing now is not asked", () => {
  expect(shown({})).toEqual(["training", "num_samples", "num_epochs", "num_steps"]);
});

test("it is asked again once it means something", () => {
  expect(shown({ training: "on_policy", num_samples: 3 })).toContain("kl_weight");
  expect(shown({ num_samples: 3 })).toContain("acceptance");
  expect(shown({ num_epochs: 2 })).not.toContain("num_steps");
});

test("what depends on a setting that means nothing is not asked either", () => {
  expect(shown({ training: "on_policy", divergence: "jsd" })).toContain("teacher_weight");
  expect(shown({ training: "on_policy" })).not.toContain("teacher_weight");
  expect(shown({ training: "sft", divergence: "jsd" })).not.toContain("teacher_weight");
});

test("one teacher is asked for, or the order of several", () => {
  const fields = [
    field("distillation.teachers", []),
    field("distillation.teacher_model", "big"),
    field("distillation.teacher_order", "by_teacher"),
  ];
  const keys = (config: object) =>
    relevantFields(fields, config as never).map(({ key }) => key.replace("distillation.", ""));
  expect(keys({})).toEqual(["teachers", "teacher_model"]);
  const teachers = [{ name: "math", model: "big" }];
  expect(keys({ distillation: { teachers } })).toEqual(["teachers", "teacher_order"]);
});
