import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { components } from "@/api/schema";

type Schemas = components["schemas"];

export type PipelineStatus = Schemas["PipelineStatus"];
export type PipelineDetail = Schemas["PipelineDetail"];
export type PipelineTable = Schemas["PipelineTable"];
export type PipelineState = PipelineStatus["state"];
export type StageStatus = Schemas["StageStatus"];
export type VariantRow = Schemas["VariantRow"];
export type Baseline = Schemas["Baseline"];
export type TableFile = "table.csv" | "table.png";

/** The stream tells of runs only: what stands between two of them is asked for while one works. */
const FOLLOW_MS = 3000;

export function pipelineList() {
  return queryOptions({
    queryKey: ["pipelines", "list"],
    queryFn: ({ signal }) => body(client.GET("/api/pipelines", { signal })),
    refetchInterval: ({ state }) =>
      state.data?.pipelines.some((each) => each.state === "running") ? FOLLOW_MS : false,
  });
}

export function pipelineDetail(pipelineId: string) {
  return queryOptions({
    queryKey: ["pipelines", "detail", pipelineId],
    queryFn: ({ signal }) =>
      body(client.GET("/api/pipelines/{pipeline_id}", { ...ofPipeline(pipelineId), signal })),
    refetchInterval: ({ state }) => (state.data?.status.state === "running" ? FOLLOW_MS : false),
  });
}

/** The files that come with the program; they change with it only. */
export function shippedPipelines() {
  return queryOptions({
    queryKey: ["shipped-pipelines"],
    queryFn: ({ signal }) => body(client.GET("/api/shipped-pipelines", { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Makes a pipeline from the text of its file and begins it. */
export function createPipeline(yaml: string, fresh: boolean) {
  const creation = { yaml, start: true, fresh, anyway: false };
  return body(client.POST("/api/pipelines", { body: creation }));
}

/** `anyway`: even if less memory is free than a stage needs. */
export function startPipeline(pipelineId: string, anyway: boolean) {
  return body(
    client.POST("/api/pipelines/{pipeline_id}/start", {
      ...ofPipeline(pipelineId),
      body: { anyway },
    }),
  );
}

export function pausePipeline(pipelineId: string) {
  return body(client.POST("/api/pipelines/{pipeline_id}/pause", ofPipeline(pipelineId)));
}

export function tableFileUrl(pipelineId: string, name: TableFile): string {
  return `/api/pipelines/${encodeURIComponent(pipelineId)}/files/${name}`;
}

function ofPipeline(pipelineId: string) {
  return { params: { path: { pipeline_id: pipelineId } } };
}
