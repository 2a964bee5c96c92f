import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { components } from "@/api/schema";

export type Reserves = components["schemas"]["Reserves"];

export function instance() {
  return queryOptions({
    queryKey: ["instance"],
    queryFn: ({ signal }) => body(client.GET("/api/instance", { signal })),
  });
}

/** Memory and disk that runs must leave free, in GB. */
export function reserves() {
  return queryOptions({
    queryKey: ["reserves"],
    queryFn: ({ signal }) => body(client.GET("/api/reserves", { signal })),
  });
}

export function setReserves(wanted: Reserves): Promise<Reserves> {
  return body(client.PUT("/api/reserves", { body: wanted }));
}
