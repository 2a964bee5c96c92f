/** How a run gets to its first step. */
import type { LiveRun } from "@/api/live-run";
import type { KindFacts, RunDetail } from "@/api/types";
import { formatDuration } from "@/components/format";

type Phase = KindFacts["phases"][number];

export interface WaitingPhase extends Phase {
  state: "done" | "now" | "later";
}

/** What no run does before its first step. */
const OF_STEPS: ReadonlySet<Phase["phase"]> = new Set(["sampling", "learning", "saving"]);

/** The phases before the first step, and how long it has been and may still be. */
export function waitOf(
  { run, facts, preparing_seconds: expected = null }: RunDetail,
  live: LiveRun,
  now: number,
): { phases: WaitingPhase[]; text: string } {
  const doing = live.phase?.phase ?? run.phase;
  const phases = (facts?.phases ?? []).filter(({ phase }) => !OF_STEPS.has(phase));
  // A phase that is not among them comes behind them all: the step itself.
  const place = phases.findIndex(({ phase }) => phase === doing);
  const at =
    place < 0 ? (doing && OF_STEPS.has(doing as Phase["phase"]) ? phases.length : 0) : place;
  return {
    phases: phases.map((phase, index) => ({
      ...phase,
      state: index < at ? "done" : index === at ? "now" : "later",
    })),
    text: waitText(run.started, expected, now),
  };
}

function waitText(
  started: number | null | undefined,
  expected: number | null,
  now: number,
): string {
  const passed = started ? Math.max(0, now - started) : 0;
  const so = started ? `${formatDuration(passed)} so far. ` : "The process is starting. ";
  if (expected === null) {
    return `${so}How long it takes to the first step is not known.`;
  }
  return expected > passed
    ? `${so}By forecast the first step begins ${formatDuration(expected)} after the start.`
    : `${so}By forecast the first step would have begun after ${formatDuration(expected)}: it takes longer.`;
}
