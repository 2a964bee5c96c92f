import { expect, test } from "vitest";
import type { EventOf } from "@/api/types";
import { figuresByTeacher } from "@/features/run/teachers";

const TOLD = {
  name: "dates",
  num_prompts: 3,
  metrics: { eval_agreement: 0.5 },
  intervals: { eval_agreement: [0.2, 0.8] as [number, number] },
  teacher_accuracy: null,
};
const SHOWN = { ...TOLD, intervals: { eval_agreement: { low: 0.2, high: 0.8 } } };

function evaluation(byTeacher: (typeof TOLD)[]): EventOf<"evaluation_finished"> {
  return {
    kind: "evaluation_finished",
    seq: 1,
    time: 0,
    step: 1,
    metrics: {},
    intervals: {},
    num_prompts: 3,
    num_available: 3,
    is_best: true,
    improved: true,
    by_teacher: byTeacher,
  };
}

test("a run at work shows the last evaluation by teacher, a finished one its best checkpoint's", () => {
  const live = { evaluations: [evaluation([]), evaluation([TOLD])] };
  expect(figuresByTeacher({ by_teacher: [] }, live)).toEqual([SHOWN]);
  const best = { ...SHOWN, num_prompts: 4 };
  expect(figuresByTeacher({ by_teacher: [best] }, live)).toEqual([best]);
});

test("a run with one teacher shows nothing by teacher", () => {
  expect(figuresByTeacher({ by_teacher: [] }, { evaluations: [evaluation([])] })).toEqual([]);
  expect(figuresByTeacher({ by_teacher: [] }, { evaluations: [] })).toEqual([]);
});
