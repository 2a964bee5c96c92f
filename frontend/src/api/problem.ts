import type { FieldPath, FieldValues, UseFormSetError } from "react-hook-form";
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

/**
 * Puts the errors of an answer on the fields of a form. `locate` turns the backend's location
 * (`distillation.temperature`) into the field's name; undefined means the form has none.
 * Returns what belongs to no field.
 */
export function spreadOnFields<T extends FieldValues>(
  error: unknown,
  setError: UseFormSetError<T>,
  locate: (location: string) => FieldPath<T> | undefined,
): string[] {
  if (!(error instanceof ApiError)) {
    return [describeError(error).title];
  }
  const { errors = [], detail, action = "" } = error.problem;
  if (errors.length === 0) {
    return [`${detail} ${action}`.trim()];
  }
  const rest: string[] = [];
  for (const { location, message } of errors) {
    const field = locate(location);
    if (field === undefined) {
      rest.push(`${location}: ${message}`);
    } else {
      setError(field, { type: "server", message });
    }
  }
  return rest;
}
