import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { queryClient } from "@/api/query-client";
import type { PromptSet, Separation, SetConversion, Split } from "@/api/types";

export function promptSets() {
  return queryOptions({
    queryKey: ["prompt-sets"],
    queryFn: ({ signal }) => body(client.GET("/api/prompt-sets", { signal })),
  });
}

/** Has sets looked at in the background, those named or all that are small; the list as it is now. */
export async function beginLooks(setIds: string[] | null): Promise<PromptSet[]> {
  const sets = await body(client.POST("/api/prompt-sets/looks", { body: { set_ids: setIds } }));
  queryClient.setQueryData(promptSets().queryKey, sets);
  return sets;
}

/** Small sets that nobody has looked at yet are looked at as soon as somebody wants to know. */
export function smallLooks() {
  return queryOptions({
    queryKey: ["prompt-sets", "looks"],
    queryFn: async () => (await beginLooks(null)).length,
    staleTime: 0,
  });
}

export function registerSet(path: string) {
  return body(client.POST("/api/prompt-sets", { body: { path, name: null } }));
}

/** What a file that is uploaded is called. */
export function sentName(file: File): string {
  return file.name.slice(0, 120) || "prompts";
}

/** Streams a file into the workspace; the answer says where it is now. */
export function uploadSet(file: File) {
  return body(
    client.POST("/api/prompt-sets/upload", {
      params: { query: { name: sentName(file) } },
      headers: { "content-type": "application/octet-stream" },
      // The document calls a binary body a string; the file goes as it is.
      body: "",
      bodySerializer: () => file,
    }),
  );
}

export function removeSet(setId: string, confirmed: boolean) {
  return body(
    client.DELETE("/api/prompt-sets/{set_id}", {
      params: { path: { set_id: setId }, query: { confirmed } },
    }),
  );
}

/** What the lines of a set look like, and what they could be made into. */
export function setLayout(setId: string) {
  return queryOptions({
    queryKey: ["prompt-sets", setId, "layout"],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/prompt-sets/{set_id}/layout", {
          params: { path: { set_id: setId } },
          signal,
        }),
      ),
  });
}

export function convertSet(setId: string, conversion: SetConversion) {
  return body(
    client.POST("/api/prompt-sets/{set_id}/convert", {
      params: { path: { set_id: setId } },
      body: conversion,
    }),
  );
}

/** Makes a training set without the lines that another set holds out. */
export function separateSet(setId: string, separation: Separation) {
  return body(
    client.POST("/api/prompt-sets/{set_id}/separate", {
      params: { path: { set_id: setId } },
      body: separation,
    }),
  );
}

/** Makes a training and a held-out set of one. */
export function splitSet(setId: string, split: Split) {
  return body(
    client.POST("/api/prompt-sets/{set_id}/split", {
      params: { path: { set_id: setId } },
      body: split,
    }),
  );
}

export function setLint(setId: string, against: string | null, model: string | null) {
  return queryOptions({
    queryKey: ["prompt-sets", setId, "lint", against, model],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/prompt-sets/{set_id}/lint", {
          params: { path: { set_id: setId }, query: { against, model } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });
}

export const PREVIEW_LINES = 20;

export function setPreview(setId: string, model: string | null, page: number) {
  return queryOptions({
    queryKey: ["prompt-sets", setId, "preview", model, page],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/prompt-sets/{set_id}/preview", {
          params: {
            path: { set_id: setId },
            query: { model, offset: page * PREVIEW_LINES, limit: PREVIEW_LINES },
          },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });
}
