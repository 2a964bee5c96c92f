import { useMutation, useQuery } from "@tanstack/react-query";
import { cancelDownload, downloads, forgetDownload, startDownload } from "@/api/models";
import type { Download } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatBytes, formatDuration } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { showError } from "@/features/runs/run-actions";

export function Downloads() {
  const list = useQuery(downloads()).data ?? [];
  if (list.length === 0) {
    return null;
  }
  return (
    <Card title="Downloads" flush>
      <ul className="divide-y">
        {list.map((download) => (
          <DownloadRow key={download.id} download={download} />
        ))}
      </ul>
    </Card>
  );
}

function DownloadRow({ download }: { download: Download }) {
  const act = useMutation({
    mutationFn: async (verb: "cancel" | "resume" | "forget") => {
      if (verb === "cancel") {
        await cancelDownload(download.id);
      } else if (verb === "resume") {
        await startDownload(download.hub_id);
      } else {
        await forgetDownload(download.id);
      }
    },
    onError: showError,
  });
  const isRunning = download.state === "running";
  const isDone = download.state === "finished";
  const share = download.total_bytes ? download.done_bytes / download.total_bytes : 0;
  return (
    <li className="num flex flex-col gap-1 px-3 py-2">
      <div className="flex flex-wrap items-center gap-2">
        <span className="truncate font-medium">{download.hub_id}</span>
        <Badge tone={isDone ? "good" : isRunning ? "accent" : "warn"}>{download.state}</Badge>
        <span className="text-muted">
          {formatBytes(download.done_bytes)}
          {download.total_bytes ? ` of ${formatBytes(download.total_bytes)}` : ""}
          {download.bytes_per_second ? `, ${formatBytes(download.bytes_per_second)}/s` : ""}
          {download.eta_seconds ? `, ${formatDuration(download.eta_seconds)} left` : ""}
        </span>
        <span className="ml-auto flex gap-1">
          {isRunning ? (
            <Button size="sm" onClick={() => act.mutate("cancel")}>
              Cancel
            </Button>
          ) : null}
          {isRunning || isDone ? null : (
            <Button size="sm" onClick={() => act.mutate("resume")}>
              Resume
            </Button>
          )}
          {isRunning ? null : (
            <Button size="sm" look="quiet" onClick={() => act.mutate("forget")}>
              Remove from the list
            </Button>
          )}
        </span>
      </div>
      {isDone ? null : <ProgressBar label={`Download of ${download.hub_id}`} share={share} />}
      {download.message ? (
        <p className="text-bad">
          {download.message} <span className="text-muted">{download.action}</span>
        </p>
      ) : null}
    </li>
  );
}
