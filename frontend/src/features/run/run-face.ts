import type { Face, RunDetail } from "@/api/types";

/** What there is to see of a run. */
export interface RunFace extends Omit<Face, "report" | "stages"> {
  report: Face["report"] | null;
  stages: readonly Face["stages"][number][];
}

/** What is left to see of a run whose config cannot be read. */
const UNREADABLE: RunFace = {
  main: null,
  small: [],
  report: null,
  proves: false,
  tabs: ["overview", "checkpoints", "log", "config"],
  stages: [],
};

/** The face of a run, as its method and its settings have it. */
export function faceOf({ facts }: Pick<RunDetail, "facts">): RunFace {
  return facts?.face ?? UNREADABLE;
}

/** Who learns from whom, in a few words. */
export function whatHappens({ method, student, teacher }: RunDetail["run"]): string {
  switch (method) {
    case "evaluation":
      return "answers to labelled items, counted";
    case "sft":
      return `${student} learns from conversations`;
    case "grpo":
      return `${student} learns from rewards`;
    case "projector":
      return `${student} learns to see`;
    case "on_policy":
    case "prompt_distillation":
    case "vlm_distillation":
      return teacher === student
        ? `${student} learns from itself`
        : `${student} learns from ${teacher}`;
    case "unknown":
      return "its config cannot be read";
    default:
      return method satisfies never;
  }
}
