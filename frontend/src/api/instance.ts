import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";

export function instance() {
  return queryOptions({
    queryKey: ["instance"],
    queryFn: ({ signal }) => body(client.GET("/api/instance", { signal })),
  });
}
