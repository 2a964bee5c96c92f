/** Addresses of small pictures; the page's own session opens them. */

/** The copy that a run keeps of a picture which a rollout shows. */
export function runPicture(runId: string, digest: string): string {
  return `/api/runs/${encodeURIComponent(runId)}/pictures/${digest}`;
}

/** A picture of a line of a set, drawn small; both count from 1. */
export function setPicture(setId: string, line: number, number: number): string {
  return `/api/prompt-sets/${encodeURIComponent(setId)}/pictures/${line}/${number}.png`;
}
