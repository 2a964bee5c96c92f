import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { ExportView, ExportWish } from "@/api/types";

const WATCH_MS = 1000;

export function isWorking(view: ExportView): boolean {
  return view.work.state === "running" || view.push?.work.state === "running";
}

/** Asked once a second while something is being written or sent. */
export function exportList() {
  return queryOptions({
    queryKey: ["exports"],
    queryFn: ({ signal }) => body(client.GET("/api/exports", { signal })),
    refetchInterval: ({ state }) => (state.data?.some(isWorking) ? WATCH_MS : false),
  });
}

export function exportOptions(runId: string, checkpoint: number | null) {
  return queryOptions({
    queryKey: ["run", runId, "export-options", checkpoint],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/export-options", {
          params: {
            path: { run_id: runId },
            query: checkpoint === null ? {} : { checkpoint },
          },
          signal,
        }),
      ),
  });
}

export function adapterUrl(runId: string, checkpoint: number): string {
  return `/api/runs/${encodeURIComponent(runId)}/adapter?checkpoint=${checkpoint}`;
}

export function startExport(wish: ExportWish) {
  return body(client.POST("/api/exports", { body: wish }));
}

export function cancelExport(name: string) {
  return body(client.POST("/api/exports/{name}/cancel", ofExport(name)));
}

export function revealExport(name: string) {
  return body(client.POST("/api/exports/{name}/reveal", ofExport(name)));
}

export function deleteExport(name: string) {
  return body(client.DELETE("/api/exports/{name}", ofExport(name)));
}

/** What a push would send; the hub is not asked. */
export function planPush(name: string, repository: string) {
  return body(
    client.GET("/api/exports/{name}/push-plan", {
      params: { path: { name }, query: { repository } },
    }),
  );
}

export interface PushChoice {
  repository: string;
  is_private: boolean;
  digest: string;
}

export function pushExport(name: string, choice: PushChoice) {
  return body(client.POST("/api/exports/{name}/push", { ...ofExport(name), body: choice }));
}

function ofExport(name: string) {
  return { params: { path: { name } } };
}
