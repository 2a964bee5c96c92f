/** Tokens for other programs, and what they can ask under /v1. */
import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { queryClient } from "@/api/query-client";
import type { components } from "@/api/schema";

export type ApiTokens = components["schemas"]["ApiTokens"];
export type TokenScope = keyof ApiTokens;

export function apiTokens() {
  return queryOptions({
    queryKey: ["api-tokens"],
    queryFn: ({ signal }) => body(client.GET("/api/tokens", { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** A new token; the one before is refused from then on. */
export async function rotateToken(scope: TokenScope): Promise<void> {
  const tokens = await body(
    client.POST("/api/tokens/{scope}/rotate", { params: { path: { scope } } }),
  );
  queryClient.setQueryData(apiTokens().queryKey, tokens);
}

/** Students and models as other programs see them, the newest student first. */
export function servedModels() {
  return queryOptions({
    queryKey: ["served-models"],
    queryFn: async ({ signal }) => (await body(client.GET("/v1/models", { signal }))).data,
  });
}
