import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { ofRun } from "@/api/runs";

/** Takes a run's zip file in; a run that is here already is not replaced. */
export function takeBundleIn(file: File) {
  return body(
    client.POST("/api/bundles", {
      headers: { "content-type": "application/zip" },
      // The document calls a binary body a string; the file goes as it is.
      body: "",
      bodySerializer: () => file,
    }),
  );
}

export function trash() {
  return queryOptions({
    queryKey: ["runs", "trash"],
    queryFn: ({ signal }) => body(client.GET("/api/trash", { signal })),
  });
}

export function purgeRun(runId: string) {
  return body(client.DELETE("/api/trash/{run_id}", ofRun(runId)));
}

export function reorderQueue(runIds: readonly string[]) {
  return body(client.PUT("/api/queue", { body: { run_ids: [...runIds] } }));
}
