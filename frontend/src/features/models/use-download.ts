import { useMutation, useQuery } from "@tanstack/react-query";
import { downloads, startDownload } from "@/api/models";
import type { Download } from "@/api/types";
import { showError } from "@/features/runs/run-actions";

export interface DownloadOf {
  /** The download under way or interrupted, if there is one. */
  now: Download | undefined;
  start: () => void;
  isStarting: boolean;
}

/** The download of a repository of the hub. */
export function useDownload(hubId: string | null): DownloadOf {
  const list = useQuery(downloads()).data ?? [];
  const start = useMutation({ mutationFn: startDownload, onError: showError });
  return {
    now: list.find((download) => download.hub_id === hubId && download.state !== "finished"),
    start: () => hubId && start.mutate(hubId),
    isStarting: start.isPending,
  };
}
