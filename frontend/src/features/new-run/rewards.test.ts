import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { changed, REWARD_LINES, rewardsIn, toggled } from "@/features/new-run/rewards";
import { RewardsControl } from "@/features/new-run/rewards-control";

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

test("every switch and weight of the form has a name", () => {
  const control = { id: "rewards", "aria-describedby": "help", "aria-invalid": false };
  const value = [{ kind: "python", file: "mine.py" }];
  const html = renderToStaticMarkup(
    createElement(RewardsControl, { control, value, onChange: () => undefined }),
  );
  for (const { title } of REWARD_LINES) {
    expect(html).toContain(`aria-label="${title}"`);
  }
  expect(html).toContain('aria-label="Weight of A function of yours"');
  expect(html.match(/aria-label="Weight/g)).toHaveLength(1);
  expect(html).toContain('value="mine.py"');
});
