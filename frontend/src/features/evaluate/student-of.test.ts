import { expect, test } from "vitest";
import type { RunDetail } from "@/api/types";
import { studentOf } from "@/features/evaluate/student-of";

const rows = [
  { step: 5, path: "/5", is_best: true },
  { step: 10, path: "/10", is_best: false },
];

function detail(settings: Record<string, unknown>) {
  return {
    run: { name: "dates", student: "tiny-student", teacher: "tiny-teacher" },
    config: { method: "on_policy", distillation: settings },
  } as unknown as RunDetail;
}

test("a form takes over model, checkpoint, teacher and held-out file of a run", () => {
  const run = detail({ validation_prompts: "/held-out.jsonl", prompts: "/train.jsonl" });
  expect(studentOf(run, rows, 10)).toMatchObject({
    name: "dates, step 10",
    model: "tiny-student",
    adapter: "/10",
    teacher: "tiny-teacher",
    inputs: "/held-out.jsonl",
    prompt: "",
  });
  expect(studentOf(run, rows, undefined)?.adapter).toBe("/5");
  expect(studentOf(run, rows, 7)).toBeNull();
});

test("what has no held-out file of its own is measured on what it was asked", () => {
  const run = detail({ inputs: "/inputs.jsonl", teacher_prompt: "/prompt.md" });
  expect(studentOf(run, rows, 5)).toMatchObject({ inputs: "/inputs.jsonl", prompt: "/prompt.md" });
});
