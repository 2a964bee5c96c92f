/** What a page's main thread did while something was done to it. */
import type { Page } from "@playwright/test";

export interface Frames {
  /** The longest time between two frames by the clock, ms: the machine's noise is in it. */
  worstFrameMs: number;
  /** The longest task of the page's main thread by the clock, ms. */
  worstTaskMs: number;
  /** The longest task by the thread's own processor time, ms: what the page is to blame for. */
  worstTaskCpuMs: number;
  numFrames: number;
}

interface TraceEvent {
  name: string;
  pid: number;
  tid: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

declare global {
  interface Window {
    frameTimes?: number[];
  }
}

// RunTask with its processor time is in the last of them.
const TRACED = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"];

/** Traces the page while `act` works on it. */
export async function watchFrames(page: Page, act: () => Promise<unknown>): Promise<Frames> {
  const browser = page.context().browser();
  if (!browser) {
    throw new Error("There is no browser to trace.");
  }
  await browser.startTracing(page, { categories: TRACED });
  // A frame that waited for a blocked page carries the time at which it was asked for, so the
  // clock is read when the callback runs; and nothing is done before a first frame was seen.
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const times: number[] = [];
        window.frameTimes = times;
        function note() {
          times.push(performance.now());
          if (window.frameTimes === times) {
            requestAnimationFrame(note);
          }
          resolve();
        }
        requestAnimationFrame(note);
      }),
  );
  await act();
  const times = await page.evaluate(() => {
    const taken = window.frameTimes ?? [];
    delete window.frameTimes;
    return taken;
  });
  const trace = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[];
  };
  const tasks = mainThreadTasks(trace.traceEvents);
  return {
    worstFrameMs: Math.max(0, ...times.slice(1).map((time, index) => time - (times[index] ?? 0))),
    worstTaskMs: longest(tasks.map(({ dur = 0 }) => dur)),
    worstTaskCpuMs: longest(tasks.map(({ tdur = 0 }) => tdur)),
    numFrames: times.length,
  };
}

export function describeFrames({ worstFrameMs, worstTaskMs, worstTaskCpuMs, numFrames }: Frames) {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return (
    `${numFrames} frames, worst ${ms(worstFrameMs)} by the clock; longest task ` +
    `${ms(worstTaskMs)} by the clock, ${ms(worstTaskCpuMs)} of processor time`
  );
}

function longest(microseconds: readonly number[]): number {
  return microseconds.reduce((most, each) => Math.max(most, each), 0) / 1000;
}

/** The tasks of the renderer thread that ran our scripts. */
function mainThreadTasks(events: readonly TraceEvent[]): TraceEvent[] {
  const scripted = events.find(({ name }) => name === "FireAnimationFrame");
  return events.filter(
    ({ name, pid, tid }) => name === "RunTask" && pid === scripted?.pid && tid === scripted.tid,
  );
}
