import { Download as DownloadIcon } from "lucide-react";
import { Button } from "@/components/button";
import { formatBytes, formatDuration } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import type { ModelForm } from "@/features/models/catalog";
import { useDownload } from "@/features/models/use-download";

/** Gets a form that is not here, and shows how far that is. */
export function DownloadButton({ form }: { form: ModelForm }) {
  const { now, start, isStarting } = useDownload(form.hubId);
  if (form.isHere || form.hubId === null) {
    return null;
  }
  if (now?.state === "running") {
    const total = now.total_bytes ?? 0;
    return (
      <span className="num flex w-56 items-center gap-2 text-sm text-muted">
        <span className="grow">
          <ProgressBar
            label={`Download of ${form.name}`}
            share={total ? now.done_bytes / total : 0}
          />
        </span>
        {total ? `${formatBytes(now.done_bytes)} of ${formatBytes(total)}` : "begins"}
        {now.eta_seconds ? `, ${formatDuration(now.eta_seconds)}` : ""}
      </span>
    );
  }
  return (
    <Button
      size="sm"
      icon={<DownloadIcon aria-hidden />}
      busy={isStarting}
      aria-label={`Download ${form.name}`}
      onClick={start}
    >
      {now ? "Resume" : "Download"}
    </Button>
  );
}
