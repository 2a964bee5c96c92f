/** The part of `WS /api/stream` that the shell looks at. */
interface RunEntry {
  readonly name: string;
  readonly state: string;
  readonly step: number;
  readonly num_steps: number | null;
}

export interface Activity {
  /** By run id. */
  readonly runs: ReadonlyMap<string, RunEntry>;
  readonly activeRun: string | null;
}

export interface News {
  readonly activity: Activity;
  /** What to notify of, when the message says that a run came to its end. */
  readonly notice: { readonly title: string; readonly body: string } | null;
}

export const QUIET: Activity = { runs: new Map(), activeRun: null };

const ENDINGS: Readonly<Record<string, string>> = {
  finished: "The run has finished.",
  failed: "The run has failed; its page says why.",
  interrupted: "The run's process died; its page says why, and it can be resumed.",
};

/** Takes one message of the stream; unknown kinds change nothing. */
export function hear(activity: Activity, line: string): News {
  const message = JSON.parse(line) as Record<string, unknown>;
  if (message["kind"] === "queue") {
    const { active } = message["queue"] as { active: { run_id: string } | null };
    return { activity: { ...activity, activeRun: active?.run_id ?? null }, notice: null };
  }
  if (message["kind"] === "removed") {
    const runs = new Map(activity.runs);
    runs.delete(message["run_id"] as string);
    return { activity: { ...activity, runs }, notice: null };
  }
  if (message["kind"] !== "run") {
    return { activity, notice: null };
  }
  const { run_id, name, state, step, num_steps } = message["run"] as RunEntry & { run_id: string };
  const before = activity.runs.get(run_id);
  const runs = new Map(activity.runs).set(run_id, { name, state, step, num_steps });
  const body = before?.state === "running" ? ENDINGS[state] : undefined;
  return {
    activity: { ...activity, runs },
    notice: body === undefined ? null : { title: name, body },
  };
}

/** For the dock: 0 to 1, 2 where the length is unknown, -1 for no bar (Electron's convention). */
export function dockProgress({ runs, activeRun }: Activity): number {
  if (activeRun === null) {
    return -1;
  }
  const run = runs.get(activeRun);
  if (!run?.num_steps) {
    return 2;
  }
  return Math.min(1, run.step / run.num_steps);
}

/** Training must not be suspended; the display may sleep, which leaves more of the GPU to it. */
export const BLOCKER = "prevent-app-suspension" as const;

export function shouldBlockSuspension(activity: Activity): boolean {
  return activity.activeRun !== null;
}
