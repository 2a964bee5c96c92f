import type { ConfigValues } from "@/api/types";

/** What the form of a new evaluation holds, as typed. */
export interface EvaluationPlan {
  name: string;
  model: string;
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
  adapter: "",
  prompt: "",
  inputs: "",
  labels: "",
  maxSamples: "",
  maxAnswerTokens: "2048",
  withBase: true,
  withoutPrompt: true,
};

/** The variants that a plan means: every wanted pair of adapter and prompt, each with a name. */
export function variantsOf(plan: EvaluationPlan) {
  const adapters = plan.adapter ? (plan.withBase ? [null, plan.adapter] : [plan.adapter]) : [null];
  const prompts = plan.prompt ? (plan.withoutPrompt ? [plan.prompt, null] : [plan.prompt]) : [null];
  return adapters.flatMap((adapter) =>
    prompts.map((prompt) => ({
      name: `${adapter ? "student after" : plan.adapter ? "student before" : "model"}${prompt ? " with prompt" : ""}`,
      model: plan.model,
      adapter,
      prompt,
      max_answer_tokens: Number(plan.maxAnswerTokens) || 2048,
    })),
  );
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
      labels: labels.length > 0 ? labels : null,
      max_samples: plan.maxSamples === "" ? null : Number(plan.maxSamples),
    },
  };
}

/** The backend's words by the last part of what they are about: `inputs`, `model`. */
export function errorsByPart(
  errors: readonly { location: string; message: string }[],
): ReadonlyMap<string, string> {
  return new Map(
    errors.map(({ location, message }) => [location.split(".").at(-1) ?? location, message]),
  );
}
