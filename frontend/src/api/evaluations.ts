import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { runKinds } from "@/api/methods";
import { ofRun } from "@/api/runs";
import type { components, operations } from "@/api/schema";

type Schemas = components["schemas"];

export type EvaluationReport = Schemas["EvaluationReport"];
export type VariantReport = Schemas["ClassificationReport"];
export type PairComparison = Schemas["PairComparison"];
export type Answer = Schemas["Answer"];
export type AnswerQuery =
  operations["page_predictions_api_runs__run_id__evaluation_predictions_get"]["parameters"]["query"];
export type Only = NonNullable<AnswerQuery["only"]>;
/** Which answers of a variant are wanted. */
export type AnswerFilter = Pick<AnswerQuery, "only" | "gold" | "predicted" | "words">;

export const ANSWERS_PER_PAGE = 20;

const LISTED = 200;

/** Runs that may have an evaluation, newest first. */
export function evaluatedRuns() {
  return queryOptions({
    queryKey: ["runs", "page", "evaluated"],
    queryFn: async ({ client: queries, signal }) => {
      const kinds = await queries.ensureQueryData(runKinds());
      const answering = kinds.filter(({ face }) => face.report === "answers");
      const pages = await Promise.all(
        answering.map(({ name }) => {
          const query = { filter: [`method=${name}`], limit: LISTED };
          return body(client.GET("/api/runs", { params: { query }, signal }));
        }),
      );
      const runs = pages.flatMap((page) => page.runs).sort((a, b) => b.created - a.created);
      return { runs, total: runs.length, offset: 0 };
    },
  });
}

export function evaluationReport(runId: string) {
  return queryOptions({
    queryKey: ["run", runId, "evaluation"],
    queryFn: ({ signal }) =>
      body(client.GET("/api/runs/{run_id}/evaluation", { ...ofRun(runId), signal })),
    retry: false,
  });
}

export function answerPage(runId: string, variant: string, filter: AnswerFilter, page: number) {
  const place = { offset: page * ANSWERS_PER_PAGE, limit: ANSWERS_PER_PAGE };
  const query = { variant, ...filter, ...place };
  return queryOptions({
    queryKey: ["run", runId, "answers", query],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/evaluation/predictions", {
          params: { path: { run_id: runId }, query },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });
}

/** Variants of several runs in pairs, on the same items. */
export function comparedEvaluations(runIds: readonly string[]) {
  return queryOptions({
    queryKey: ["runs", "evaluations", runIds],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/comparison/evaluation", {
          params: { query: { run: [...runIds] } },
          signal,
        }),
      ),
    retry: false,
  });
}

export function heatMapUrl(runId: string): string {
  return `/api/runs/${encodeURIComponent(runId)}/evaluation.png`;
}
