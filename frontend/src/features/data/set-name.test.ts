import { expect, test } from "vitest";
import type { PromptSet } from "@/api/types";
import { setName } from "@/features/data/set-name";

function set(id: string, name: string, path: string): PromptSet {
  return {
    id,
    name,
    path,
    origin: "path",
    kind: "prompts",
    added: 0,
    is_here: true,
    num_bytes: 1,
    modified: null,
    is_labelled: false,
    used_by: [],
  };
}

test("two sets of one name are told apart by their folders", () => {
  const dates = set("a", "train", "/data/dates/train.jsonl");
  const languages = set("b", "train", "/data/languages/train.jsonl");
  const other = set("c", "held out", "/data/held_out.jsonl");
  const all = [dates, languages, other];
  expect(all.map((each) => setName(each, all))).toEqual([
    "dates/train",
    "languages/train",
    "held out",
  ]);
});
