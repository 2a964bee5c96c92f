import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { components } from "@/api/schema";

export type ShownRank = components["schemas"]["ShownRank"];

/** The processes that work on a run together; `atWork` asks again every few seconds. */
export function runRanks(runId: string, atWork: boolean) {
  return queryOptions({
    queryKey: ["run", runId, "ranks"],
    queryFn: ({ signal }) =>
      body(client.GET("/api/runs/{run_id}/ranks", { params: { path: { run_id: runId } }, signal })),
    refetchInterval: atWork ? 3000 : false,
  });
}

/** The hosts that a file names, to be confirmed; nothing is started on them. */
export function hostsOf(path: string) {
  return queryOptions({
    queryKey: ["hosts", path],
    queryFn: ({ signal }) => body(client.POST("/api/hosts", { body: { path }, signal })),
    enabled: path !== "",
    retry: false,
    staleTime: 0,
  });
}
