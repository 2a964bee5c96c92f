import type { PromptSet } from "@/api/types";

/** A set for tests: of prompts, at a path, and not looked at yet. */
export function setOf(id: string, name: string, more: Partial<PromptSet> = {}): PromptSet {
  return {
    id,
    name,
    path: `/data/${name}.jsonl`,
    origin: "path",
    kind: "prompts",
    added: 0,
    is_here: true,
    num_bytes: 1,
    modified: null,
    is_labelled: false,
    used_by: [],
    used_by_names: [],
    look_state: "unseen",
    looking_since: null,
    look: null,
    same_as: [],
    ...more,
  };
}
