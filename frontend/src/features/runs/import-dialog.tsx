import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { takeBundleIn } from "@/api/bundles";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { Dialog } from "@/components/dialog";
import { FileDrop } from "@/components/file-drop";
import { Notice } from "@/components/states";

/** Takes in a run that another machine, or this one, gave out as a zip file. */
export function ImportDialog({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const take = useMutation({
    mutationFn: takeBundleIn,
    onSuccess: async (run) => {
      await queryClient.invalidateQueries({ queryKey: ["runs"] });
      await navigate({ to: "/runs/$runId", params: { runId: run.run_id } });
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="Import a run"
      description="A bundle is a run's folder as a zip file: config, log, rollouts, checkpoints."
    >
      <div className="flex flex-col gap-3">
        <FileDrop
          label="Drop a bundle here"
          hint="A .zip that Download as a bundle made"
          accept=".zip,application/zip"
          busy={take.isPending}
          onFile={(file) => take.mutate(file)}
        />
        {take.error ? (
          <Notice tone="bad" title={describeError(take.error).title}>
            {describeError(take.error).reason}
          </Notice>
        ) : null}
      </div>
    </Dialog>
  );
}
