import type { ConfigValues, FormField } from "@/api/types";
import { type Setting, valueIn } from "@/features/new-run/draft";

interface Condition {
  key: string;
  holds: (value: Setting | undefined) => boolean;
}

const is = (wanted: Setting) => (value: Setting | undefined) => value === wanted;

const SCORED: Condition = { key: "prompt_distillation.training", holds: is("on_policy") };
const DECAYS = (value: Setting | undefined) => value !== undefined && value !== "constant";
const IS_USED = (value: Setting | undefined) => Number(value) > 0;
const IS_EMPTY = (value: Setting | undefined) => value === null || value === undefined;

const HAS_NONE = (value: Setting | undefined) => !Array.isArray(value) || value.length === 0;

const UNGRAFTED: Condition = { key: "projector.grafted_model", holds: IS_EMPTY };
const OWN_SIZE: Condition = { key: "projector.picture_size", holds: IS_EMPTY };

/** Settings that mean something only beside a value of another one. */
const CONDITIONS: Readonly<Record<string, Condition>> = {
  "distillation.teacher_weight": { key: "distillation.divergence", holds: is("jsd") },
  "distillation.teacher_model": { key: "distillation.teachers", holds: HAS_NONE },
  "distillation.teacher_order": {
    key: "distillation.teachers",
    holds: (value) => !HAS_NONE(value),
  },
  "distillation.top_k": { key: "distillation.teacher_targets", holds: is("top_k") },
  "projector.vision_model": UNGRAFTED,
  "projector.language_model": UNGRAFTED,
  "projector.projector": UNGRAFTED,
  "projector.projector_start": UNGRAFTED,
  "projector.min_pixels": OWN_SIZE,
  "projector.max_pixels": OWN_SIZE,
  "vlm_distillation.teacher_weight": { key: "vlm_distillation.divergence", holds: is("jsd") },
  "vlm_distillation.top_k": { key: "vlm_distillation.teacher_targets", holds: is("top_k") },
  "vlm_distillation.control_prompts": { key: "vlm_distillation.controls", holds: is(true) },
  "grpo.reference": { key: "grpo.beta", holds: IS_USED },
  "prompt_distillation.acceptance": {
    key: "prompt_distillation.num_samples",
    holds: (value) => Number(value) > 1,
  },
  "prompt_distillation.divergence": SCORED,
  "prompt_distillation.temperature": SCORED,
  "prompt_distillation.kl_weight": SCORED,
  "prompt_distillation.ce_weight": SCORED,
  "prompt_distillation.teacher_weight": {
    key: "prompt_distillation.divergence",
    holds: is("jsd"),
  },
  "prompt_distillation.teacher_cache_size_mb": SCORED,
};

/** The same for settings that every optimizer has, by their name within a block. */
const SHARED: Readonly<Record<string, Condition>> = {
  schedule_min_ratio: { key: "schedule", holds: DECAYS },
  num_steps: { key: "num_epochs", holds: IS_EMPTY },
  warmup_steps: { key: "warmup_ratio", holds: IS_EMPTY },
};

function conditionOf({ key }: FormField): Condition | undefined {
  const [block, name = ""] = key.split(".", 2);
  const shared = SHARED[name];
  return CONDITIONS[key] ?? (shared && { ...shared, key: `${block}.${shared.key}` });
}

/**
 * The fields that mean something in a draft; what they were set to stays where they come back. A field
 * beside one that means nothing means nothing either.
 */
export function relevantFields(
  fields: readonly FormField[],
  config: ConfigValues,
): readonly FormField[] {
  const byKey = new Map(fields.map((field) => [field.key, field]));
  const isRelevant = (field: FormField): boolean => {
    const condition = conditionOf(field);
    if (!condition) {
      return true;
    }
    const other = byKey.get(condition.key);
    return condition.holds(other && valueIn(config, other)) && (!other || isRelevant(other));
  };
  return fields.filter(isRelevant);
}
