import { expect, test } from "vitest";
import type { PromptSet } from "@/api/types";
import { recentSets, withRecent } from "@/features/data/recent-files";

function setAt(path: string): PromptSet {
  return {
    id: path,
    name: path,
    origin: "upload",
    kind: "prompts",
    path,
    added: 0,
    is_here: true,
    num_bytes: 1,
    modified: null,
    is_labelled: false,
    used_by: [],
  };
}

test("a file that is chosen again moves to the front, and old ones are forgotten", () => {
  expect(withRecent(["a", "b", "c"], "b")).toEqual(["b", "a", "c"]);
  const many = Array.from({ length: 12 }, (_, number) => `${number}`);
  expect(withRecent(many, "new")).toHaveLength(12);
  expect(withRecent(many, "new")[0]).toBe("new");
});

test("what is gone, or chosen already, is not offered as recent", () => {
  const sets = ["a", "b", "c", "d", "e"].map(setAt);
  const offered = recentSets(sets, ["gone", "c", "a", "e", "b"], "a");
  expect(offered.map(({ path }) => path)).toEqual(["c", "e", "b"]);
});
