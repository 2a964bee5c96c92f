import type { ConfigValues } from "@/api/types";

/** What the form of a new evaluation holds, as typed. */
export interface EvaluationPlan {
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
}

export const EMPTY_PLAN: EvaluationPlan = {
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
};

/** What the teacher's variant is called, where there is a teacher. */
function teacherName(plan: EvaluationPlan): string | null {
  return plan.teacher ? `teacher${plan.prompt ? " with prompt" : ""}` : null;
}

/** The variants that a plan means: the teacher, then every wanted pair of adapter and prompt. */
export function variantsOf(plan: EvaluationPlan) {
  const adapters = plan.adapter ? (plan.withBase ? [null, plan.adapter] : [plan.adapter]) : [null];
  const prompts = plan.prompt ? (plan.withoutPrompt ? [plan.prompt, null] : [plan.prompt]) : [null];
  const length = { max_answer_tokens: Number(plan.maxAnswerTokens) || 2048 };
  const name = teacherName(plan);
  const teacher = { model: plan.teacher, adapter: null, prompt: plan.prompt || null, ...length };
  const own = plan.adapter ? null : plan.teacher ? "student" : "model";
  const students = adapters.flatMap((adapter) =>
    prompts.map((prompt) => ({
      name: `${own ?? (adapter ? "student after" : "student before")}${prompt ? " with prompt" : ""}`,
      model: plan.model,
      adapter,
      prompt,
      ...length,
    })),
  );
  return [...(name ? [{ name, ...teacher }] : []), ...students];
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
