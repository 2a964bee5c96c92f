import type { ConfigValues, FormField, Preset } from "@/api/types";

export type MethodId = "on_policy" | "sft" | "prompt_distillation";

export interface Method {
  id: MethodId;
  /** What its block of a config is called. */
  block: string;
  title: string;
  about: string;
  needs: string;
  gives: string;
}

const ON_POLICY: Method = {
  id: "on_policy",
  block: "distillation",
  title: "On-policy distillation",
  about:
    "The student writes, the teacher grades every token, and the distance between the two teaches.",
  needs: "A teacher and a student that share their tokens, and two files of prompts.",
  gives: "A small model that goes on as the big one would, measured on held-out prompts.",
};

export const METHODS: readonly Method[] = [
  ON_POLICY,
  {
    id: "prompt_distillation",
    block: "prompt_distillation",
    title: "Prompt distillation",
    about:
      "A teacher that reads a long prompt answers your inputs; a student learns to answer the same without the prompt.",
    needs: "Two models, the prompt, inputs, and held-out inputs. Right answers are optional.",
    gives: "A fast student, compared with its teacher: accuracy, tokens and seconds an answer.",
  },
  {
    id: "sft",
    block: "sft",
    title: "Supervised fine-tuning",
    about: "One model learns from conversations that somebody has written. There is no teacher.",
    needs: "One model, a file of conversations, and held-out conversations.",
    gives: "An adapter that answers as the conversations do; also a start for the other two.",
  },
];

/** The method of a draft; a draft without one is of the first. */
export function methodOf(config: ConfigValues): Method {
  return METHODS.find(({ id }) => id === config["method"]) ?? ON_POLICY;
}

export function isMethodId(text: unknown): text is MethodId {
  return METHODS.some(({ id }) => id === text);
}

/** A method's presets; a demonstration, which needs no download, comes first. */
export function presetsOf(method: MethodId, presets: readonly Preset[]): Preset[] {
  const isDemo = (preset: Preset) => /(^|\/)demo$/.test(preset.name);
  return presets
    .filter((preset) => preset.config.method === method)
    .sort((a, b) => Number(isDemo(b)) - Number(isDemo(a)));
}

/** The settings that belong to a method, without those that leave no choice. */
export function fieldsOf(method: Method, fields: readonly FormField[]): FormField[] {
  return fields.filter(
    (field) => field.key.startsWith(`${method.block}.`) && field.choices?.length !== 1,
  );
}
