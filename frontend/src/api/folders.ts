import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { ChosenFolders } from "@/api/types";

/** Where runs, data, models and exports go, how full the disks are, and what is wrong with them. */
export function folders() {
  return queryOptions({
    queryKey: ["folders"],
    queryFn: ({ signal }) => body(client.GET("/api/folders", { signal })),
  });
}

export function chooseFolders(chosen: ChosenFolders) {
  return body(client.PUT("/api/folders", { body: chosen }));
}
