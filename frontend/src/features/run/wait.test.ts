import { expect, test } from "vitest";
import { EMPTY_LIVE_RUN } from "@/api/live-run";
import type { RunDetail } from "@/api/types";
import { waitOf } from "@/features/run/wait";

const PHASES = ["loading", "scoring", "self_test", "evaluating", "learning", "saving"];

function detail(phase: string | null, expected: number | null, started: number | null = 100) {
  return {
    run: { phase, started, phase_detail: "" },
    facts: { phases: PHASES.map((name) => ({ phase: name, title: name })) },
    preparing_seconds: expected,
  } as unknown as RunDetail;
}

test("before its first step a run says what is done, what it does and what comes", () => {
  const { phases } = waitOf(detail("self_test", null), EMPTY_LIVE_RUN, 110);
  expect(phases.map(({ phase, state }) => `${phase} ${state}`)).toEqual([
    "loading done",
    "scoring done",
    "self_test now",
    "evaluating later",
  ]);
  const first = waitOf(detail("learning", null), EMPTY_LIVE_RUN, 110).phases;
  expect(first.every(({ state }) => state === "done")).toBe(true);
});

test("how long it takes is told by forecast, and that it takes longer where it does", () => {
  const text = (expected: number | null, started: number | null = 100) =>
    waitOf(detail("loading", expected, started), EMPTY_LIVE_RUN, 110).text;
  expect(text(30)).toBe("10 s so far. By forecast the first step begins 30 s after the start.");
  expect(text(5)).toContain("would have begun after 5.0 s: it takes longer");
  expect(text(null)).toContain("not known");
  expect(text(30, null)).toContain("The process is starting.");
});
