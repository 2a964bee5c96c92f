import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";

export function models() {
  return queryOptions({
    queryKey: ["models"],
    queryFn: ({ signal }) => body(client.GET("/api/models", { signal })),
  });
}

export function hubSearch(words: string) {
  return queryOptions({
    queryKey: ["hub", words],
    queryFn: ({ signal }) =>
      body(client.GET("/api/hub/search", { params: { query: { words } }, signal })),
    enabled: words.trim() !== "",
  });
}

export function addModelFolder(path: string) {
  return body(client.POST("/api/models/folders", { body: { path } }));
}

export function removeModel(modelId: string, confirmed: boolean) {
  return body(
    client.DELETE("/api/models/local/{model_id}", {
      params: { path: { model_id: modelId }, query: { confirmed } },
    }),
  );
}

/** Asked once; the workspace's stream tells of every change after that. */
export function downloads() {
  return queryOptions({
    queryKey: ["downloads"],
    queryFn: ({ signal }) => body(client.GET("/api/downloads", { signal })),
  });
}

export function hubToken() {
  return queryOptions({
    queryKey: ["hub-token"],
    queryFn: ({ signal }) => body(client.GET("/api/hub/token", { signal })),
  });
}

export function keepHubToken(token: string) {
  return body(client.PUT("/api/hub/token", { body: { token } }));
}

export function forgetHubToken() {
  return body(client.DELETE("/api/hub/token"));
}

export function startDownload(model: string) {
  return body(client.POST("/api/downloads", { body: { model } }));
}

export function cancelDownload(downloadId: string) {
  return body(
    client.POST("/api/downloads/{download_id}/cancel", {
      params: { path: { download_id: downloadId } },
    }),
  );
}

export function forgetDownload(downloadId: string) {
  return body(
    client.DELETE("/api/downloads/{download_id}", {
      params: { path: { download_id: downloadId } },
    }),
  );
}
