import { expect, test } from "vitest";
import { recentSets, withRecent } from "@/features/data/recent-files";
import { setOf } from "@/features/data/set.fixture";

const setAt = (path: string) => setOf(path, path, { path, origin: "upload" });

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
