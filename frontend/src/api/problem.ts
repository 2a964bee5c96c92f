import type { components } from "@/api/schema";

export type ProblemBody = components["schemas"]["Problem"];

/** An answer of the backend that is not what was asked for: what happened, and what to do. */
export class ApiError extends Error {
  readonly problem: ProblemBody;

  constructor(problem: ProblemBody) {
    super(problem.detail);
    this.name = "ApiError";
    this.problem = problem;
  }
}

/** The backend could not be reached at all. */
export class OfflineError extends Error {
  constructor() {
    super("The backend does not answer.");
    this.name = "OfflineError";
  }
}

export function isProblem(body: unknown): body is ProblemBody {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}

/** Whether a run was refused because its prompts would leave this machine unasked. */
export function leavesMachine(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === "leaves_machine";
}

/** Whether a start was refused only because others hold the memory: it may be asked again. */
export function isMemoryInUse(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === "memory_in_use";
}

/** One sentence or two for a person: what happened and what to do. */
export function describeError(error: unknown): { title: string; reason: string } {
  if (error instanceof ApiError) {
    return { title: error.problem.detail, reason: error.problem.action ?? "" };
  }
  if (error instanceof OfflineError) {
    return { title: error.message, reason: "It may be starting again. Runs go on without it." };
  }
  return { title: "The screen failed here.", reason: error instanceof Error ? error.message : "" };
}
