import type { RunDetail } from "@/api/types";
import type { ChartedMetric } from "@/features/run/metric-chart";
import type { RunTab } from "@/features/run/run-tabs";

/** What there is to see of a run: what its method measures, and nothing that it does not. */
export interface RunFace {
  /** The large chart; a run that trains nothing has none. */
  main: { title: string; name: string; metrics: readonly ChartedMetric[] } | null;
  small: readonly (readonly ChartedMetric[])[];
  report: "distance" | "loss" | "answers";
  /** Whether it stands for a proof of learning before it trains. */
  proves: boolean;
  tabs: readonly RunTab[];
  /** Generate, train and evaluate, with the first left out where nothing is generated. */
  stages: readonly ("generate" | "train" | "evaluate")[];
}

const SPEED: readonly (readonly ChartedMetric[])[] = [
  [{ key: "tokens_per_second", role: "student" }],
  [{ key: "peak_memory_gb", role: "student" }],
];

const DISTANCE: RunFace = {
  main: {
    title: "Divergence from the teacher",
    name: "Divergence",
    metrics: [
      { key: "divergence", role: "student", label: "Training" },
      { key: "eval_reverse_kl", role: "evaluation", label: "Held-out reverse KL" },
      {
        key: "eval_off_policy_reverse_kl",
        role: "evaluation",
        label: "Held-out reverse KL, off-policy",
      },
    ],
  },
  small: [
    [{ key: "loss", role: "student" }],
    [
      { key: "agreement", role: "student", label: "Rollouts" },
      { key: "eval_agreement", role: "evaluation", label: "Held out" },
      { key: "eval_off_policy_agreement", role: "evaluation", label: "Held out, off-policy" },
    ],
    [{ key: "entropy", role: "student" }],
    [{ key: "grad_norm", role: "student" }],
    [{ key: "completion_tokens", role: "student" }],
    [{ key: "truncated_share", role: "student" }],
    ...SPEED,
    [{ key: "teacher_cache_hit_rate", role: "teacher" }],
  ],
  report: "distance",
  proves: true,
  tabs: ["overview", "rollouts", "checkpoints", "log", "config"],
  stages: [],
};

const LOSS: RunFace = {
  main: {
    title: "Loss",
    name: "Loss",
    metrics: [
      { key: "loss", role: "student", label: "Training" },
      { key: "eval_loss", role: "evaluation", label: "Held out" },
    ],
  },
  small: [
    [{ key: "grad_norm", role: "student" }],
    [{ key: "learning_rate", role: "student" }],
    [{ key: "step_seconds", role: "student" }],
    ...SPEED,
    [{ key: "process_memory_gb", role: "student" }],
  ],
  report: "loss",
  proves: false,
  tabs: ["overview", "checkpoints", "log", "config"],
  stages: [],
};

const ANSWERS: RunFace = {
  main: null,
  small: [],
  report: "answers",
  proves: false,
  tabs: ["overview", "log", "config"],
  stages: [],
};

/** The face of a run; one whose config cannot be read has that of its method's usual form. */
export function faceOf({ run, config }: Pick<RunDetail, "run" | "config">): RunFace {
  switch (run.method) {
    case "sft":
      return LOSS;
    case "evaluation":
      return ANSWERS;
    case "prompt_distillation": {
      const isScored =
        config?.method === "prompt_distillation" &&
        config.prompt_distillation?.training === "on_policy";
      return isScored
        ? { ...atTemperature(DISTANCE, config), report: "answers", stages: ["train", "evaluate"] }
        : { ...LOSS, report: "answers", stages: ["generate", "train", "evaluate"] };
    }
    default:
      return atTemperature(DISTANCE, config);
  }
}

/** Training may compare softened models, held-out numbers never do: the chart says so. */
function atTemperature(face: RunFace, config: RunDetail["config"]): RunFace {
  const temperature =
    config?.method === "on_policy"
      ? config.distillation?.temperature
      : config?.method === "prompt_distillation"
        ? config.prompt_distillation?.temperature
        : undefined;
  if (face.main === null || temperature === undefined || temperature === 1) {
    return face;
  }
  const metrics = face.main.metrics.map((metric) =>
    metric.key === "divergence" ? { ...metric, label: `Training, T = ${temperature}` } : metric,
  );
  return { ...face, main: { ...face.main, metrics } };
}

/** Who learns from whom, in a few words. */
export function whatHappens({ method, student, teacher }: RunDetail["run"]): string {
  if (method === "evaluation") {
    return "answers to labelled items, counted";
  }
  if (method === "sft") {
    return `${student} learns from conversations`;
  }
  return teacher === null || teacher === ""
    ? student
    : teacher === student
      ? `${student} learns from itself`
      : `${student} learns from ${teacher}`;
}
