/** The student of a run's checkpoint and what its run was measured with, as an evaluation names them. */
import { useQuery } from "@tanstack/react-query";
import { checkpoints } from "@/api/files";
import { runDetail } from "@/api/runs";
import type { RunDetail, RunSummary } from "@/api/types";
import type { EvaluationPlan } from "@/features/evaluate/plan";

/** What a form takes over from a run. */
export type Student = Partial<EvaluationPlan> & Pick<EvaluationPlan, "model" | "adapter" | "runId">;

/** Runs whose student can be asked, in the order given. */
export function trainedRuns<T extends Pick<RunSummary, "has_checkpoint" | "student">>(
  runs: readonly T[],
): T[] {
  return runs.filter((run) => run.has_checkpoint && run.student !== "");
}

interface Checkpoint {
  step: number;
  path: string;
  is_best: boolean;
}

/** Undefined while it is looked up; null where none is meant, or it is gone. */
export function useStudentOf(
  runId: string | undefined,
  step: number | undefined,
): Student | null | undefined {
  const enabled = runId !== undefined;
  const detail = useQuery({ ...runDetail(runId ?? ""), enabled });
  const found = useQuery({ ...checkpoints(runId ?? ""), enabled });
  if (!enabled || detail.isError || found.isError) {
    return null;
  }
  if (!detail.data || !found.data) {
    return undefined;
  }
  return studentOf(detail.data, found.data.checkpoints, step);
}

/** Model, adapter, teacher, prompt and held-out file of a run; null where it has no such step. */
export function studentOf(
  { run, config }: Pick<RunDetail, "run" | "config">,
  rows: readonly Checkpoint[],
  step: number | undefined,
): Student | null {
  const best = rows.find(({ is_best }) => is_best) ?? rows.at(-1);
  const chosen = step === undefined ? best : rows.find((each) => each.step === step);
  const settings = settingsIn(config);
  if (!chosen) {
    return null;
  }
  return {
    runId: run.run_id,
    name: `${run.name}, step ${chosen.step}`,
    model: run.student,
    adapter: chosen.path,
    // The teacher of a prompt distillation is the model with the prompt.
    teacher: textOf(settings["teacher_model"]) || (run.teacher ?? ""),
    prompt: textOf(settings["teacher_prompt"]),
    inputs:
      textOf(settings["validation_inputs"]) ||
      textOf(settings["validation_prompts"]) ||
      textOf(settings["inputs"]),
    checkpoints: rows.map((each) => ({ step: each.step, path: each.path })),
  };
}

/** The block of a config that has the method's own settings. */
function settingsIn(config: unknown): Readonly<Record<string, unknown>> {
  const blocks = typeof config === "object" && config !== null ? Object.values(config) : [];
  const block: unknown = blocks.find((value) => typeof value === "object" && value !== null);
  return (block ?? {}) as Readonly<Record<string, unknown>>;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
