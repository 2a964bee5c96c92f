import { expect, test } from "vitest";
import type { PipelineStatus, PipelineTable, StageStatus, VariantRow } from "@/api/pipelines";
import { comparable, progressText, shareOf, verdictText } from "@/features/pipelines/wording";

const STAGE: StageStatus = {
  name: "sft",
  method: "sft",
  state: "running",
  start: null,
  variant: null,
  run_id: "sft_1",
  taken_over: false,
  step: 3,
  num_steps: 12,
  seconds: null,
  left_seconds: 90,
};

const STATUS: PipelineStatus = {
  pipeline_id: "pipeline_1",
  name: "two",
  state: "running",
  created: 0,
  num_finished: 1,
  stages: [{ ...STAGE, state: "finished" }, STAGE],
  seconds: 65,
  left_seconds: 240,
  message: "",
  action: "",
  has_table: false,
  path: "/w/pipelines/pipeline_1",
};

function row(name: string, asGood: boolean): VariantRow {
  return { name, is_as_good_as_best: asGood } as VariantRow;
}

function table(winner: string | null, ...variants: VariantRow[]): PipelineTable {
  return { best: "a", winner, variants } as PipelineTable;
}

test("a pipeline says how far it is and how long the rest takes, if anybody knows", () => {
  expect(progressText(STATUS)).toBe(
    "1 of 2 stages finished, 65 s of work so far, about 4 min to go",
  );
  expect(progressText({ ...STATUS, seconds: 0, num_finished: 0, left_seconds: null })).toBe(
    "0 of 2 stages finished",
  );
  expect(progressText({ ...STATUS, state: "finished" })).toBe("2 stages, 65 s of work");
});

test("a stage's share is known where its steps are, and whole when it is finished", () => {
  expect(shareOf(STAGE)).toBe(0.25);
  expect(shareOf({ ...STAGE, num_steps: 0 })).toBeNull();
  expect(shareOf({ ...STAGE, num_steps: 0, state: "finished" })).toBe(1);
});

test("no winner is named where another variant is as good within the interval", () => {
  expect(verdictText(table("a", row("a", true), row("b", false)))).toMatch(/^a is better/);
  expect(verdictText(table("a", row("a", true)))).toBe("Only a was measured.");
  const tied = verdictText(table(null, row("a", true), row("b", true), row("c", false)));
  expect(tied).toBe(
    "No winner: a has the most right answers, and b is as good within the interval.",
  );
});

test("runs are compared once each, and not more than the comparison takes", () => {
  expect(comparable(["x", null, "x", "y"])).toEqual(["x", "y"]);
  expect(comparable([..."abcdefghij"])).toHaveLength(8);
});
