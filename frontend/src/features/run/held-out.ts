import type { RunSummary } from "@/api/types";

/** By which metrics a run's distance to its teacher is held out, and what to say of it. */
export interface HeldOutDistance {
  reverseKl: string;
  agreement: string;
  suffix: string;
}

const ON_POLICY = { reverseKl: "eval_reverse_kl", agreement: "eval_agreement", suffix: "" };
const OFF_POLICY = {
  reverseKl: "eval_off_policy_reverse_kl",
  agreement: "eval_off_policy_agreement",
  suffix: " (off-policy)",
};

/** A teacher that does not stay loaded leaves its own completions only: another quantity. */
export function heldOutDistance({ metrics }: Pick<RunSummary, "metrics">): HeldOutDistance {
  return OFF_POLICY.reverseKl in metrics ? OFF_POLICY : ON_POLICY;
}
