import { useQuery } from "@tanstack/react-query";
import { checkedConfig } from "@/api/planning";
import { ApiError } from "@/api/problem";
import { useDraft } from "@/features/new-run/draft";

/** The backend's words about each setting of the draft, by dotted key. */
export function useDraftErrors(): ReadonlyMap<string, string> {
  const config = useDraft((draft) => draft.config);
  const { error } = useQuery(checkedConfig(config));
  return errorsByField(error);
}

export function errorsByField(error: unknown): ReadonlyMap<string, string> {
  const problems = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  // The location begins with the method where the union of methods was entered.
  return new Map(
    problems.map(({ location, message }) => [location.replace(/^on_policy\./, ""), message]),
  );
}

export function useFieldErrors(key: string): string | undefined {
  return useDraftErrors().get(key);
}
