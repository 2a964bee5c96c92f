import type { LiveRun } from "@/api/live-run";
import type { RunSummary } from "@/api/types";
import type { RunFace } from "@/features/run/run-face";
import { isAtWork } from "@/features/runs/run-state";

export interface Stage {
  name: RunFace["stages"][number];
  state: "done" | "now" | "later";
  /** 0 to 1, where that can be counted. */
  share: number | null;
  /** "8 of 112 answers". */
  note: string;
}

const NUM_VARIANTS = 4;

/** How far each stage is; models answer for the evaluation before the student learns, too. */
export function stagesOf(
  names: RunFace["stages"],
  run: RunSummary,
  phase: LiveRun["phase"],
  numVariants: number,
): Stage[] {
  const now = isAtWork(run.state) ? stageNow(run, phase) : null;
  const { step, num_steps: steps } = run;
  const answers =
    now === "generate" && phase?.total ? { done: phase.done ?? 0, total: phase.total } : null;
  const facts = {
    generate: {
      isDone: step > 0 || numVariants > 0 || now === "evaluate" || now === "train",
      share: answers ? answers.done / answers.total : null,
      note: answers ? `${answers.done} of ${answers.total} answers` : "",
    },
    train: {
      isDone: steps !== null && steps > 0 && step >= steps,
      share: steps ? step / steps : null,
      note: steps ? `step ${step} of ${steps}` : "",
    },
    evaluate: {
      isDone: numVariants >= NUM_VARIANTS,
      share: numVariants / NUM_VARIANTS,
      note: `${numVariants} of ${NUM_VARIANTS} variants${step === 0 ? ", before training" : ""}`,
    },
  };
  return names.map((name) => {
    const { isDone, share, note } = facts[name];
    const isOver = run.state === "finished" || isDone;
    const state = name === now && run.state !== "finished" ? "now" : isOver ? "done" : "later";
    return { name, state, share: state === "done" ? 1 : share, note };
  });
}

function stageNow(run: RunSummary, phase: LiveRun["phase"]): Stage["name"] | null {
  const doing = phase?.phase ?? run.phase;
  if (doing === "generating") {
    return "generate";
  }
  // Held-out rows are measured between steps without a count; variants answer with one.
  const isVariant = doing === "evaluating" && Boolean(phase?.total);
  if (isVariant) {
    return "evaluate";
  }
  if (run.step > 0 || doing === "self_test") {
    return "train";
  }
  return doing === "sampling" || doing === "learning" || doing === "scoring" ? "train" : null;
}

/** Seconds until a counted phase ends, at the rate since it began; null before that is known. */
export function phaseSecondsLeft({ phase, phaseBegan }: LiveRun): number | null {
  if (!phase?.total || !phaseBegan || phase.done === null || phase.done === undefined) {
    return null;
  }
  const done = phase.done - (phaseBegan.done ?? 0);
  const seconds = phase.time - phaseBegan.time;
  const isKnown = done > 0 && seconds > 0 && phase.done < phase.total;
  return isKnown ? ((phase.total - phase.done) * seconds) / done : null;
}
