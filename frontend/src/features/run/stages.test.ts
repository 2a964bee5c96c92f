import { expect, test } from "vitest";
import type { LiveRun } from "@/api/live-run";
import { EMPTY_LIVE_RUN } from "@/api/live-run";
import type { RunSummary } from "@/api/types";
import { phaseSecondsLeft, stagesOf } from "@/features/run/stages";

const NAMES = ["generate", "train", "evaluate"] as const;

function phase(
  name: string,
  done: number | null,
  total: number | null,
  time = 0,
): LiveRun["phase"] {
  return { phase: name, done, total, time, detail: "" } as unknown as LiveRun["phase"];
}

function run(state: string, step: number, steps: number | null = 40): RunSummary {
  return { state, step, num_steps: steps, phase: null } as unknown as RunSummary;
}

function states(of: RunSummary, now: LiveRun["phase"], numVariants: number): string[] {
  return stagesOf(NAMES, of, now, numVariants).map(({ state }) => state);
}

test("answers are counted while the teacher gives them", () => {
  const [generate] = stagesOf(NAMES, run("running", 0), phase("generating", 8, 112), 0);
  expect(generate).toMatchObject({ state: "now", share: 8 / 112, note: "8 of 112 answers" });
});

test("variants answer before the student learns as well", () => {
  for (const numVariants of [0, 1]) {
    expect(states(run("running", 0), phase("evaluating", 8, 52), numVariants)).toEqual([
      "done",
      "later",
      "now",
    ]);
  }
});

test("held-out rows between two steps belong to the training", () => {
  expect(states(run("running", 10), phase("evaluating", null, null), 3)).toEqual([
    "done",
    "now",
    "later",
  ]);
});

test("a finished run has nothing before it, and one that stopped is in no stage", () => {
  expect(states(run("finished", 40), null, 4)).toEqual(["done", "done", "done"]);
  expect(states(run("paused", 10), null, 3)).toEqual(["done", "later", "later"]);
});

test("a counted phase ends when its rate says so", () => {
  const live = { ...EMPTY_LIVE_RUN, phase: phase("generating", 30, 100, 20) };
  expect(phaseSecondsLeft({ ...live, phaseBegan: phase("generating", 10, 100, 10) })).toBe(35);
  expect(phaseSecondsLeft({ ...live, phaseBegan: live.phase })).toBeNull();
  expect(phaseSecondsLeft(EMPTY_LIVE_RUN)).toBeNull();
  const over = { ...live, phase: phase("generating", 100, 100, 20) };
  expect(phaseSecondsLeft({ ...over, phaseBegan: phase("generating", 10, 100, 10) })).toBeNull();
});
