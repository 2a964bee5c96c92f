import type { ConfigValues } from "@/api/types";

/** What the form of a new evaluation holds, as typed. */
export interface EvaluationPlan {
  /** The run that it was filled in from; empty where it is of none. */
  runId: string;
  name: string;
  model: string;
  /** Who answers beside the model, with the prompt where there is one; may be empty. */
  teacher: string;
  adapter: string;
  prompt: string;
  inputs: string;
  labels: string;
  maxSamples: string;
  maxAnswerTokens: string;
  /** Ask the model without the adapter as well. */
  withBase: boolean;
  /** Ask without the prompt as well. */
  withoutPrompt: boolean;
  grading: Grading;
  /** Those of the run whose student it is; empty where it is of none. */
  checkpoints: readonly { step: number; path: string }[];
  /** Ask the student of every checkpoint, for the trend over them. */
  everyCheckpoint: boolean;
}

export type Grading = "auto" | "labels" | "exact" | "contains" | "boxed";

export const EMPTY_PLAN: EvaluationPlan = {
  runId: "",
  name: "",
  model: "",
  teacher: "",
  adapter: "",
  prompt: "",
  inputs: "",
  labels: "",
  maxSamples: "",
  maxAnswerTokens: "2048",
  withBase: true,
  withoutPrompt: true,
  grading: "auto",
  checkpoints: [],
  everyCheckpoint: false,
};

/** So many variants an evaluation may have. */
const MOST_VARIANTS = 16;

/** What the teacher's variant is called, where there is a teacher. */
function teacherName(plan: EvaluationPlan): string | null {
  return plan.teacher ? `teacher${plan.prompt ? " with prompt" : ""}` : null;
}

/** Who is asked: a name, its adapter and whether it reads the prompt. */
interface Asked {
  name: string;
  adapter: string | null;
}

/** The students that a plan means: before, after, or after every checkpoint. */
function studentsOf(plan: EvaluationPlan, most: number): Asked[] {
  const before = { name: "student before", adapter: null };
  if (!plan.adapter) {
    return [{ name: plan.teacher ? "student" : "model", adapter: null }];
  }
  const opening = plan.withBase ? [before] : [];
  if (plan.everyCheckpoint && plan.checkpoints.length > 0) {
    const steps = thinned(plan.checkpoints, most - opening.length);
    return [
      ...opening,
      ...steps.map(({ step, path }) => ({ name: `student at step ${step}`, adapter: path })),
    ];
  }
  return [...opening, { name: "student after", adapter: plan.adapter }];
}

/** At most so many, evenly, the last one included. */
function thinned<T>(all: readonly T[], most: number): T[] {
  const every = Math.ceil(all.length / Math.max(most, 1));
  return all.filter((_, place) => (all.length - 1 - place) % every === 0);
}

/** The variants that a plan means: the teacher, then every wanted pair of adapter and prompt. */
export function variantsOf(plan: EvaluationPlan) {
  const prompts = plan.prompt ? (plan.withoutPrompt ? [plan.prompt, null] : [plan.prompt]) : [null];
  const length = { max_answer_tokens: Number(plan.maxAnswerTokens) || 2048 };
  const name = teacherName(plan);
  const teacher = { model: plan.teacher, adapter: null, prompt: plan.prompt || null, ...length };
  const most = Math.floor((MOST_VARIANTS - (name ? 1 : 0)) / prompts.length);
  const students = studentsOf(plan, most).flatMap((student) =>
    prompts.map((prompt) => ({
      name: `${student.name}${prompt ? " with prompt" : ""}`,
      model: plan.model,
      adapter: student.adapter,
      prompt,
      ...length,
    })),
  );
  return [...(name ? [{ name, ...teacher }] : []), ...students];
}

/** How many items are asked of a file that has so many. */
export function numItemsOf(plan: Pick<EvaluationPlan, "maxSamples">, numInFile: number): number {
  const most = Number(plan.maxSamples);
  return plan.maxSamples === "" || !(most > 0) ? numInFile : Math.min(most, numInFile);
}

/** The config of the run; what is left empty takes its default. */
export function configOf(plan: EvaluationPlan): ConfigValues {
  const labels = plan.labels.split(",").flatMap((label) => label.trim() || []);
  return {
    method: "evaluation",
    evaluation: {
      run_name: plan.name || null,
      variants: variantsOf(plan),
      inputs: plan.inputs || null,
      teacher: teacherName(plan),
      grading: plan.grading,
      labels: labels.length > 0 ? labels : null,
      max_samples: plan.maxSamples === "" ? null : Number(plan.maxSamples),
    },
  };
}

/** The backend's words by the field of the form that they are about: `inputs`, `model`. */
export function errorsByPart(
  errors: readonly { location: string; message: string }[],
  teacher = "",
): ReadonlyMap<string, string> {
  return new Map(
    errors.map(({ location, message }) => {
      const part = location.split(".").at(-1) ?? location;
      return [part === "model" && teacher && message.includes(teacher) ? "teacher" : part, message];
    }),
  );
}
