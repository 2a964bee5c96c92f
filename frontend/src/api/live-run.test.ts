import { expect, test } from "vitest";
import { EMPTY_LIVE_RUN, foldEvent, foldMessage } from "@/api/live-run";
import type { RunEvent, RunSummary } from "@/api/types";

function step(seq: number, number: number): RunEvent {
  return { kind: "step_finished", seq, time: seq, step: number, metrics: { loss: 1 / number } };
}

const machine = {
  platform: "",
  processor: "",
  memory_gb: 1,
  python: "",
  mlx: "",
  mlx_lm: "",
};
const run = { run_id: "distill_1", step: 0 } as RunSummary;

test("events told twice count once", () => {
  const once = [step(0, 1), step(1, 2)].reduce(foldEvent, EMPTY_LIVE_RUN);
  const twice = [step(0, 1), step(1, 2), step(1, 2)].reduce(foldEvent, EMPTY_LIVE_RUN);
  expect(twice).toEqual(once);
  expect(once.steps.map((event) => event.step)).toEqual([1, 2]);
});

test("a resume takes back the steps behind its checkpoint and makes charts ask again", () => {
  const before = [step(0, 1), step(1, 2), step(2, 3)].reduce(foldEvent, EMPTY_LIVE_RUN);
  const after = foldEvent(before, { kind: "run_resumed", seq: 3, time: 3, step: 1, machine });
  expect(after.steps.map((event) => event.step)).toEqual([1]);
  expect(after.epoch).toBe(before.epoch + 1);
});

test("a snapshot replaces what was known and its events are not skipped", () => {
  const old = foldEvent(EMPTY_LIVE_RUN, step(40, 9));
  const live = foldMessage(old, {
    kind: "snapshot",
    seq: 12,
    run,
    recent: [step(11, 5), step(12, 6)],
  });
  expect(live.lastSeq).toBe(12);
  expect(live.steps.map((event) => event.step)).toEqual([5, 6]);
});

test("a finished step moves the run's step without waiting for the next state", () => {
  const live = foldMessage(EMPTY_LIVE_RUN, { kind: "snapshot", seq: -1, run, recent: [] });
  expect(foldEvent(live, step(0, 7)).run?.step).toBe(7);
});

test("only the newest rollouts are kept", () => {
  let live = EMPTY_LIVE_RUN;
  for (let seq = 0; seq < 100; seq += 1) {
    live = foldEvent(live, {
      kind: "rollout_sampled",
      seq,
      time: seq,
      step: seq,
      offset: 0,
      prompt: "",
      completion: "",
      num_tokens: 1,
      mean_divergence: 0,
      reward: null,
    });
  }
  expect(live.rollouts).toHaveLength(60);
  expect(live.rollouts.at(-1)?.step).toBe(99);
});

test("a run that ended has no phase", () => {
  const busy = foldEvent(EMPTY_LIVE_RUN, {
    kind: "phase_changed",
    seq: 0,
    time: 0,
    phase: "sampling",
    step: 1,
    detail: "",
    done: null,
    total: null,
    num_steps: null,
  });
  const paused = foldEvent(busy, { kind: "run_paused", seq: 1, time: 1, step: 1, reason: "" });
  expect(busy.phase?.phase).toBe("sampling");
  expect(paused.phase).toBeNull();
});

test("the number of steps is the newest that the run has said", () => {
  const phase = {
    kind: "phase_changed",
    time: 0,
    phase: "loading",
    step: 0,
    detail: "",
    done: null,
    total: null,
  } as const;
  const live = { ...EMPTY_LIVE_RUN, run };
  const known = foldEvent(live, { ...phase, seq: 0, num_steps: 12 });
  expect(known.run?.num_steps).toBe(12);
  expect(foldEvent(known, { ...phase, seq: 1, num_steps: null }).run?.num_steps).toBe(12);
});

test("a phase counts from where it began, and another one begins anew", () => {
  const phase = (seq: number, name: "generating" | "evaluating", done: number): RunEvent => ({
    kind: "phase_changed",
    seq,
    time: seq,
    phase: name,
    step: 0,
    detail: name,
    done,
    total: 9,
    num_steps: null,
  });
  const answering = [phase(0, "generating", 1), phase(1, "generating", 5)].reduce(
    foldEvent,
    EMPTY_LIVE_RUN,
  );
  expect([answering.phaseBegan?.done, answering.phase?.done]).toEqual([1, 5]);
  expect(foldEvent(answering, phase(2, "evaluating", 2)).phaseBegan?.done).toBe(2);
});

test("a step ends the phase before it", () => {
  const at = {
    ...EMPTY_LIVE_RUN,
    run: { ...run, phase: "evaluating", phase_detail: "64 prompts" },
  };
  const evaluating = { kind: "phase_changed", phase: "evaluating", seq: 0, time: 0, step: 0 };
  const live = [evaluating as RunEvent, step(1, 1)].reduce(foldEvent, at);
  expect(live.phase).toBeNull();
  expect([live.run?.phase, live.run?.phase_detail]).toEqual(["learning", ""]);
});
