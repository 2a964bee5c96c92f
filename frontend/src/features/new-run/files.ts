import type { FileSetting, PromptSet } from "@/api/types";
import type { Method } from "@/features/new-run/methods";

/** What is true of every file that holds the same. */
interface Held {
  /** What its lines are called, and which of them have an answer. */
  noun: string;
  answered: string;
  kinds: readonly PromptSet["kind"][];
  endings: readonly string[];
}

/** A file that a method reads. */
export interface FileSlot extends Held {
  key: string;
  title: string;
  /** What it is for, while it is empty. */
  needed: string;
  /** Which part of the check is about it. */
  part: FileSetting["part"];
}

const JSON_LINES = ["jsonl", "ndjson", "json"];
const TABLES = [...JSON_LINES, "csv", "tsv", "parquet"];
const ANSWERED = "With answers";

const HELD: Readonly<Record<FileSetting["holds"], Held>> = {
  prompts: { noun: "Prompts", answered: ANSWERED, kinds: ["prompts"], endings: TABLES },
  conversations: {
    noun: "Conversations",
    answered: ANSWERED,
    kinds: ["conversations"],
    endings: TABLES,
  },
  inputs: {
    noun: "Inputs",
    answered: "With labels",
    kinds: ["prompts", "inputs", "text"],
    endings: ["txt", ...TABLES],
  },
  text: { noun: "Lines", answered: ANSWERED, kinds: ["text"], endings: ["md", "txt"] },
};

/** The files that a method reads, in the order in which they are asked for. */
export function slotsOf({ block, files }: Pick<Method, "block" | "files">): FileSlot[] {
  return files.map(({ key, title, holds, part, required, needed }) => ({
    ...HELD[holds],
    key: `${block}.${key}`,
    title,
    part,
    needed: required ? `Required: ${needed}` : needed,
  }));
}
