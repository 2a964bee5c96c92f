import { expect, test } from "vitest";
import { changed, rewardsIn, toggled } from "@/features/new-run/rewards";

test("a reward is taken in and left out in the order of the form, and keeps its settings", () => {
  const python = { kind: "python" as const, file: "mine.py", weight: 2 };
  const both = toggled([python], "exact", true);
  expect(both).toEqual([{ kind: "exact" }, python]);
  expect(toggled(both, "exact", false)).toEqual([python]);
});

test("a weight changes one reward alone", () => {
  const rewards = [{ kind: "exact" as const }, { kind: "length" as const, free_tokens: 9 }];
  expect(changed(rewards, "length", { weight: 0.5 })).toEqual([
    { kind: "exact" },
    { kind: "length", free_tokens: 9, weight: 0.5 },
  ]);
});

test("a draft without rewards has none", () => {
  expect([rewardsIn(undefined), rewardsIn(null), rewardsIn("exact")]).toEqual([[], [], []]);
});
