/** What the screen knows of a run at work, folded from its events. */
import type { EventOf, RunEvent, RunStreamMessage, RunSummary } from "@/api/types";

export interface LiveRun {
  lastSeq: number;
  run: RunSummary | null;
  phase: EventOf<"phase_changed"> | null;
  /** Where the phase at work began to count, for its rate. */
  phaseBegan: EventOf<"phase_changed"> | null;
  /** Newest last. Steps that a resume undid are taken out. */
  steps: readonly EventOf<"step_finished">[];
  evaluations: readonly EventOf<"evaluation_finished">[];
  rollouts: readonly EventOf<"rollout_sampled">[];
  alarms: readonly EventOf<"warning">[];
  /** Rises when charts must ask the server again: a resume or a replaced log. */
  epoch: number;
}

export const EMPTY_LIVE_RUN: LiveRun = {
  lastSeq: -1,
  run: null,
  phase: null,
  phaseBegan: null,
  steps: [],
  evaluations: [],
  rollouts: [],
  alarms: [],
  epoch: 0,
};

const KEPT = { steps: 500, evaluations: 200, rollouts: 60, alarms: 200 };

export function foldMessage(live: LiveRun, message: RunStreamMessage): LiveRun {
  switch (message.kind) {
    case "snapshot":
      return message.recent.reduce(foldEvent, {
        ...EMPTY_LIVE_RUN,
        run: message.run,
        lastSeq: (message.recent[0]?.seq ?? message.seq + 1) - 1,
        epoch: live.epoch + 1,
      });
    case "events":
      return message.events.reduce(foldEvent, live);
    case "state":
      return { ...live, run: message.run };
    default:
      return live;
  }
}

/** Folds one event; one that was seen before changes nothing. */
export function foldEvent(live: LiveRun, event: RunEvent): LiveRun {
  if (event.seq <= live.lastSeq) {
    return live;
  }
  const next = { ...live, lastSeq: event.seq };
  switch (event.kind) {
    case "phase_changed":
      return {
        ...next,
        phase: event,
        phaseBegan: isSamePhase(live.phase, event) ? live.phaseBegan : event,
        run: settled(live.run, event),
      };
    case "step_finished":
      return {
        ...next,
        steps: keep(live.steps, event, KEPT.steps),
        // A step says of itself that whatever came before it is over.
        phase: null,
        phaseBegan: null,
        run: stepped(live.run, event),
      };
    case "evaluation_finished":
      return { ...next, evaluations: keep(live.evaluations, event, KEPT.evaluations) };
    case "rollout_sampled":
      return { ...next, rollouts: keep(live.rollouts, event, KEPT.rollouts) };
    case "warning":
      return { ...next, alarms: keep(live.alarms, event, KEPT.alarms) };
    case "run_resumed":
      return { ...undoAfter(next, event.step), epoch: live.epoch + 1 };
    case "run_paused":
    case "run_finished":
    case "run_failed":
      return { ...next, phase: null, phaseBegan: null };
    default:
      return next;
  }
}

function isSamePhase(
  before: EventOf<"phase_changed"> | null,
  event: EventOf<"phase_changed">,
): boolean {
  return before?.phase === event.phase && before.detail === event.detail;
}

function keep<T>(list: readonly T[], item: T, count: number): T[] {
  return [...list.slice(-(count - 1)), item];
}

function stepped(run: RunSummary | null, event: EventOf<"step_finished">): RunSummary | null {
  return (
    run && {
      ...run,
      step: event.step,
      updated: event.time,
      phase: "learning",
      phase_detail: "",
    }
  );
}

/** A run whose rows decide how many steps it takes says so in a phase. */
function settled(run: RunSummary | null, event: EventOf<"phase_changed">): RunSummary | null {
  return run && { ...run, num_steps: event.num_steps ?? run.num_steps };
}

function undoAfter(live: LiveRun, step: number): LiveRun {
  const stays = <T extends { step: number }>(list: readonly T[]) =>
    list.filter((event) => event.step <= step);
  return {
    ...live,
    steps: stays(live.steps),
    evaluations: stays(live.evaluations),
    rollouts: stays(live.rollouts),
  };
}
