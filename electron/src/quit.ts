/** What becomes of the run at work when the user quits. */
export type QuitChoice = "keep" | "pause" | "cancel";

export const QUIT_BUTTONS = ["Keep running", "Pause and quit", "Cancel"] as const;
export const CANCEL_BUTTON = 2;
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
    });
    return response.status === 202;
  } catch {
    return false;
  }
}
