import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";

/** Every run kind as the library describes it; they change with the program only. */
export function runKinds() {
  return queryOptions({
    queryKey: ["methods"],
    queryFn: ({ signal }) => body(client.GET("/api/schema/methods", { signal })),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
  });
}
