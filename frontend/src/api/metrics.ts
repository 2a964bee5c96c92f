import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { ApiError } from "@/api/problem";
import { ofRun } from "@/api/runs";
import type { Metric, MetricHistory } from "@/api/types";

export type StepRange = readonly [number, number];

/** Every metric by its key; they change with the program only. */
export function metricCatalogue() {
  return queryOptions({
    queryKey: ["metrics"],
    queryFn: async ({ signal }) => {
      const metrics = await body(client.GET("/api/schema/metrics", { signal }));
      return new Map<string, Metric>(metrics.map((metric) => [metric.key, metric]));
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** A metric's buckets over a range of steps; null while the run has not measured it. */
export function metricHistory(runId: string, key: string, range: StepRange | null, px: number) {
  return queryOptions({
    queryKey: ["run", runId, "metric", key, range, px],
    queryFn: async ({ signal }): Promise<MetricHistory | null> => {
      const query = { px, ...(range ? { from: range[0], to: range[1] } : {}) };
      try {
        return await body(
          client.GET("/api/runs/{run_id}/metrics/{key}", {
            params: { path: { run_id: runId, key }, query },
            signal,
          }),
        );
      } catch (error) {
        if (error instanceof ApiError && error.problem.status === 404) {
          return null;
        }
        throw error;
      }
    },
    placeholderData: keepPreviousData,
  });
}

export function runMarks(runId: string) {
  return queryOptions({
    queryKey: ["run", runId, "marks"],
    queryFn: ({ signal }) =>
      body(client.GET("/api/runs/{run_id}/marks", { ...ofRun(runId), signal })),
  });
}
