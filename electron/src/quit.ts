import type { Activity } from "./activity.js";

/** What becomes of the run at work when the user quits. */
export type QuitChoice = "keep" | "pause" | "cancel";

export const QUIT_BUTTONS = ["Keep running", "Pause and quit", "Cancel"] as const;
export const CANCEL_BUTTON = 2;
const ANSWER_WITHIN_MS = 10_000;
const CHOICES: readonly QuitChoice[] = ["keep", "pause", "cancel"];

/** What the dialog says. */
export function quitQuestion(run: string): { message: string; detail: string } {
  return {
    message: `“${run}” is still training.`,
    detail:
      "Kept running, it goes on in the background and is found again at the next start. " +
      "Paused, it writes a checkpoint, gives its memory back, and can be resumed.",
  };
}

/** Anything but the two first buttons cancels: closing the dialog never ends a run. */
export function choiceOf(button: number): QuitChoice {
  return CHOICES[button] ?? "cancel";
}

/** The name of the run at work, or null when nothing is lost by quitting. */
export function runAtWork({ activeRun, runs }: Activity): string | null {
  return activeRun === null ? null : (runs.get(activeRun)?.name ?? activeRun);
}

interface Leaving {
  /** Of the run at work. */
  readonly run: string | null;
  /** Asks the question; answers with the pressed button. */
  readonly ask: (question: { message: string; detail: string }) => Promise<number>;
  /** Ends the backend; false when it could not be asked to pause. */
  readonly stop: (runs: "keep" | "pause") => Promise<boolean>;
  readonly tell: (title: string, text: string) => void;
}

/** Whether the app may quit now: the user agreed, and the backend ended. */
export async function leave({ run, ask, stop, tell }: Leaving): Promise<boolean> {
  const choice = run === null ? "keep" : choiceOf(await ask(quitQuestion(run)));
  if (choice === "cancel") {
    return false;
  }
  const hasEnded = await stop(choice);
  if (!hasEnded) {
    tell(
      "The run could not be paused",
      "The backend did not take it. Nothing was ended; try again.",
    );
  }
  return hasEnded;
}

/** Asks the backend to end; its run goes on or is paused first. False when it did not take it. */
export async function shutDown(
  url: string,
  token: string,
  runs: "keep" | "pause",
): Promise<boolean> {
  try {
    const response = await fetch(`${url}/api/shutdown`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ runs }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    return response.status === 202;
  } catch {
    return false;
  }
}
