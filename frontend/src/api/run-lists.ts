/** Groups of the list of runs, and the views of it that were saved. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { RunListing } from "@/api/runs";
import type { SavedView } from "@/api/types";

export function runGroups(listing: RunListing) {
  return queryOptions({
    queryKey: ["runs", "groups", listing],
    queryFn: ({ signal }) =>
      body(client.GET("/api/run-groups", { params: { query: listing }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function runViews() {
  return queryOptions({
    queryKey: ["run-views"],
    queryFn: ({ signal }) => body(client.GET("/api/run-views", { signal })),
  });
}

export function saveViews(views: readonly SavedView[]) {
  return body(client.PUT("/api/run-views", { body: { views: [...views] } }));
}
