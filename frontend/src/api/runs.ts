import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { operations } from "@/api/schema";
import type { AnnotationChange, RunCreation, RunDuplication } from "@/api/types";

export type RunListing = NonNullable<operations["list_runs_api_runs_get"]["parameters"]["query"]>;

export function runPage(listing: RunListing) {
  return queryOptions({
    queryKey: ["runs", "page", listing],
    queryFn: ({ signal }) => body(client.GET("/api/runs", { params: { query: listing }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function runKeys() {
  return queryOptions({
    queryKey: ["runs", "keys"],
    queryFn: ({ signal }) => body(client.GET("/api/run-keys", { signal })),
  });
}

export function runDetail(runId: string) {
  return queryOptions({
    queryKey: ["run", runId, "detail"],
    queryFn: ({ signal }) => body(client.GET("/api/runs/{run_id}", { ...ofRun(runId), signal })),
  });
}

export function comparison(runIds: readonly string[]) {
  return queryOptions({
    queryKey: ["runs", "comparison", runIds],
    queryFn: ({ signal }) =>
      body(client.GET("/api/comparison", { params: { query: { run: [...runIds] } }, signal })),
  });
}

export const COMPLETIONS_PER_PAGE = 10;

/** What the runs said last to prompts that at least two of them sampled. */
export function sameCompletions(runIds: readonly string[], page: number) {
  const query = {
    run: [...runIds],
    offset: page * COMPLETIONS_PER_PAGE,
    limit: COMPLETIONS_PER_PAGE,
  };
  return queryOptions({
    queryKey: ["runs", "completions", query],
    queryFn: ({ signal }) =>
      body(client.GET("/api/comparison/completions", { params: { query }, signal })),
  });
}

export function createRun(creation: RunCreation) {
  return body(client.POST("/api/runs", { body: creation }));
}

export function duplicateRun(runId: string, duplication: RunDuplication) {
  return body(client.POST("/api/runs/{run_id}/duplicate", { ...ofRun(runId), body: duplication }));
}

export function annotateRun(runId: string, change: AnnotationChange) {
  return body(client.PATCH("/api/runs/{run_id}/annotations", { ...ofRun(runId), body: change }));
}

export function deleteRun(runId: string) {
  return body(client.DELETE("/api/runs/{run_id}", ofRun(runId)));
}

export function restoreRun(runId: string) {
  return body(client.POST("/api/trash/{run_id}/restore", ofRun(runId)));
}

/** `anyway`: even if less memory is free than the run needs. */
export function startRun(runId: string, anyway = false) {
  return body(client.POST("/api/runs/{run_id}/start", { ...ofRun(runId), body: { anyway } }));
}

export function resumeRun(runId: string, anyway = false) {
  return body(client.POST("/api/runs/{run_id}/resume", { ...ofRun(runId), body: { anyway } }));
}

/** Goes on from a checkpoint; the run that comes back does, which is a new one where that was not the newest. */
export function resumeFrom(runId: string, step: number, anyway = false) {
  return body(
    client.POST("/api/runs/{run_id}/checkpoints/{step}/resume", {
      params: { path: { run_id: runId, step } },
      body: { anyway },
    }),
  );
}

export function pauseRun(runId: string) {
  return body(client.POST("/api/runs/{run_id}/pause", ofRun(runId)));
}

export function stopRun(runId: string) {
  return body(client.POST("/api/runs/{run_id}/stop", ofRun(runId)));
}

export function killRun(runId: string) {
  return body(client.POST("/api/runs/{run_id}/kill", ofRun(runId)));
}

export function dequeueRun(runId: string) {
  return body(client.DELETE("/api/queue/{run_id}", ofRun(runId)));
}

export function ofRun(runId: string) {
  return { params: { path: { run_id: runId } } };
}
