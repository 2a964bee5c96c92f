import { expect, test } from "vitest";
import { setOf } from "@/features/data/set.fixture";
import { setName } from "@/features/data/set-name";

test("two sets of one name are told apart by their folders", () => {
  const dates = setOf("a", "train", { path: "/data/dates/train.jsonl" });
  const languages = setOf("b", "train", { path: "/data/languages/train.jsonl" });
  const other = setOf("c", "held out");
  const all = [dates, languages, other];
  expect(all.map((each) => setName(each, all))).toEqual([
    "dates/train",
    "languages/train",
    "held out",
  ]);
});
