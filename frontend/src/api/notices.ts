/** The webhook that is told when a run has ended. */
import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { queryClient } from "@/api/query-client";
import type { components } from "@/api/schema";

export type NoticesView = components["schemas"]["NoticesView"];

export function notices() {
  return queryOptions({
    queryKey: ["notices"],
    queryFn: ({ signal }) => body(client.GET("/api/notices", { signal })),
  });
}

export async function setWebhook(url: string | null): Promise<void> {
  learn(await body(client.PUT("/api/notices", { body: { webhook_url: url } })));
}

export async function tryWebhook(): Promise<void> {
  learn(await body(client.POST("/api/notices/try")));
}

function learn(view: NoticesView): void {
  queryClient.setQueryData(notices().queryKey, view);
}
