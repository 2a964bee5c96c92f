import type { Ending } from "./backend-process.js";
import type { Diagnosis } from "./bridge.js";
import { lastWords } from "./last-words.js";
import { MAX_RESTARTS, type SupervisorState } from "./supervisor.js";

const SHOWN_LINES = 200;

/** Says in words how the backend ended. */
export function describeEnding({ code, signal, error }: Ending): string {
  if (error !== null) {
    return `It could not be started: ${error}.`;
  }
  if (signal === "SIGKILL") {
    return "It was killed (SIGKILL), most likely by the system for memory.";
  }
  return signal === null ? `It ended with exit code ${code}.` : `It ended by ${signal}.`;
}

/** What the diagnostics page shows once the supervisor has given up. */
export function diagnose(state: SupervisorState, log: readonly string[]): Diagnosis {
  const shown = log.slice(-SHOWN_LINES);
  if (state.kind !== "failed") {
    return { what: "The backend is being started.", detail: "", why: "", log: shown };
  }
  return {
    what: `The backend ended ${MAX_RESTARTS + 1} times in a short time and is not started again by itself.`,
    detail: `${describeEnding(state.ending)} Runs at work are processes of their own and go on.`,
    why: lastWords(shown) ?? "",
    log: shown,
  };
}
