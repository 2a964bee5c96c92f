import { useMutation } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { removeModel } from "@/api/models";
import { queryClient } from "@/api/query-client";
import type { LocalModel } from "@/api/types";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { formatBytes, formatPlural } from "@/components/format";
import { showError } from "@/features/runs/run-actions";

/** Deletes a download, or removes a folder from the list, after saying who needs it. */
export function RemoveModel({ model }: { model: LocalModel }) {
  const [isAsking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => removeModel(model.id, true),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["models"] }),
    onError: showError,
  });
  const verb = model.origin === "hub" ? "Delete" : "Remove";
  return (
    <>
      <Button
        look="quiet"
        size="sm"
        icon={<Trash2 aria-hidden />}
        aria-label={`${verb} ${model.name}`}
        onClick={() => setAsking(true)}
      />
      <Dialog
        open={isAsking}
        onOpenChange={setAsking}
        title={`${verb} ${model.name}?`}
        footer={
          <>
            <Button onClick={() => setAsking(false)}>Cancel</Button>
            <Button
              look="danger"
              onClick={() => {
                setAsking(false);
                remove.mutate();
              }}
            >
              {verb}
            </Button>
          </>
        }
      >
        <p>
          {model.used_by.length === 0
            ? "No run names it."
            : `Used by ${formatPlural(model.used_by.length, "run")}: what used it cannot be resumed without it.`}{" "}
          {model.origin === "hub"
            ? `${formatBytes(model.disk_bytes)} become free.`
            : "The folder itself stays where it is."}
        </p>
      </Dialog>
    </>
  );
}
