import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { ofRun } from "@/api/runs";

export const ROLLOUTS_PER_PAGE = 20;

export function rolloutPage(runId: string, page: number) {
  return queryOptions({
    queryKey: ["run", runId, "rollouts", page],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/rollouts", {
          params: {
            path: { run_id: runId },
            query: {
              offset: page * ROLLOUTS_PER_PAGE,
              limit: ROLLOUTS_PER_PAGE,
              newest_first: true,
            },
          },
          signal,
        }),
      ),
  });
}

const FEW_ROLLOUTS = 8;

/** The first rollouts of a run, or the last ones. */
export function firstRollouts(runId: string, newest: boolean) {
  return queryOptions({
    queryKey: ["run", runId, "rollouts", "few", newest],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/rollouts", {
          params: {
            path: { run_id: runId },
            query: { offset: 0, limit: FEW_ROLLOUTS, newest_first: newest },
          },
          signal,
        }),
      ),
  });
}

/** The rollout that an event points at. */
export function rolloutAt(runId: string, position: number) {
  return queryOptions({
    queryKey: ["run", runId, "rollout", position],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/rollouts/{position}", {
          params: { path: { run_id: runId, position } },
          signal,
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function checkpoints(runId: string) {
  return queryOptions({
    queryKey: ["run", runId, "checkpoints"],
    queryFn: ({ signal }) =>
      body(client.GET("/api/runs/{run_id}/checkpoints", { ...ofRun(runId), signal })),
  });
}

/** What the student wrote to held-out prompts before and after; a run that is over changes nothing. */
export function beforeAfter(runId: string) {
  return queryOptions({
    queryKey: ["run", runId, "before-after"],
    queryFn: ({ signal }) =>
      body(client.GET("/api/runs/{run_id}/before-after", { ...ofRun(runId), signal })),
  });
}

export function logTail(runId: string, maxBytes: number) {
  return queryOptions({
    queryKey: ["run", runId, "log", maxBytes],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/log", {
          params: { path: { run_id: runId }, query: { max_bytes: maxBytes } },
          signal,
        }),
      ),
  });
}

export function bundleUrl(runId: string): string {
  return `/api/runs/${encodeURIComponent(runId)}/bundle`;
}
