import type { PromptSet } from "@/api/types";
import type { MethodId } from "@/features/new-run/methods";

export interface FileSlot {
  key: string;
  title: string;
  /** What it is for, while it is empty. */
  needed: string;
  /** Which part of the check is about it. */
  part: "prompts" | "validation" | "teacher_prompt";
  /** What its lines are called, and which of them have an answer. */
  noun: string;
  answered: string;
  kinds: readonly PromptSet["kind"][];
  endings: readonly string[];
}

const JSON_LINES = ["jsonl", "ndjson", "json"];
const INPUTS = ["prompts", "inputs", "text"] as const;
const INPUT_ENDINGS = ["txt", "csv", ...JSON_LINES];

/** The files that each method reads, in the order in which they are asked for. */
export const FILES: Readonly<Record<MethodId, readonly FileSlot[]>> = {
  on_policy: [
    {
      key: "distillation.prompts",
      title: "Training prompts",
      needed:
        'Required: a JSONL file of what the student practises on, one {"prompt": "..."} a line.',
      part: "prompts",
      noun: "Prompts",
      answered: "With answers",
      kinds: ["prompts"],
      endings: JSON_LINES,
    },
    {
      key: "distillation.validation_prompts",
      title: "Validation file",
      needed:
        "Required: held-out prompts of their own. Without them a run would only show that the student knows what it has seen.",
      part: "validation",
      noun: "Prompts",
      answered: "With answers",
      kinds: ["prompts"],
      endings: JSON_LINES,
    },
  ],
  sft: [
    {
      key: "sft.conversations",
      title: "Training conversations",
      needed:
        'Required: a JSONL file with one {"messages": [...]} a line that ends with the assistant; prompt and completion, and ShareGPT, are read as well.',
      part: "prompts",
      noun: "Conversations",
      answered: "With answers",
      kinds: ["conversations"],
      endings: JSON_LINES,
    },
    {
      key: "sft.validation_conversations",
      title: "Validation file",
      needed:
        "Held-out conversations of their own. Without them nothing tells learning from learning by heart.",
      part: "validation",
      noun: "Conversations",
      answered: "With answers",
      kinds: ["conversations"],
      endings: JSON_LINES,
    },
  ],
  prompt_distillation: [
    {
      key: "prompt_distillation.teacher_prompt",
      title: "Teacher's prompt",
      needed: "Required: a text file with the long prompt that the student will do without.",
      part: "teacher_prompt",
      noun: "Lines",
      answered: "With answers",
      kinds: ["text"],
      endings: ["md", "txt"],
    },
    {
      key: "prompt_distillation.inputs",
      title: "Inputs",
      needed:
        "Required: what the teacher answers and the student learns. One text a line, CSV with a text and perhaps a label, or JSONL.",
      part: "prompts",
      noun: "Inputs",
      answered: "With gold",
      kinds: INPUTS,
      endings: INPUT_ENDINGS,
    },
    {
      key: "prompt_distillation.validation_inputs",
      title: "Validation file",
      needed:
        "Required: held-out inputs of their own, in any of the same forms. With right answers the evaluation shows accuracy; without, only agreement with the teacher.",
      part: "validation",
      noun: "Inputs",
      answered: "With gold",
      kinds: INPUTS,
      endings: INPUT_ENDINGS,
    },
  ],
};
