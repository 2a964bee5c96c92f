import { useMutation } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { removeSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { PromptSet } from "@/api/types";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { showError } from "@/features/runs/run-actions";

const SHOWN_RUNS = 5;

/** Takes a set off the list; asks first where runs name it. */
export function ForgetSet({ set, name }: { set: PromptSet; name: string }) {
  const [isAsking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => removeSet(set.id, true),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["prompt-sets"] }),
    onError: showError,
  });
  return (
    <>
      <Button
        look="quiet"
        size="sm"
        icon={<Trash2 aria-hidden />}
        aria-label={`Remove ${name}`}
        onClick={() => (set.used_by.length > 0 ? setAsking(true) : remove.mutate())}
      />
      <Dialog
        open={isAsking}
        onOpenChange={setAsking}
        title={`Remove ${name}?`}
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
              Remove it
            </Button>
          </>
        }
      >
        <p>
          {runsInWords(set.used_by_names)} this file.{" "}
          {set.origin === "upload"
            ? "It was copied into the workspace and is deleted with this; they could not be resumed without it."
            : "The file itself stays where it is."}
        </p>
      </Dialog>
    </>
  );
}

/** The runs by name: "dates and languages use", "dates, colors and 3 more use". */
export function runsInWords(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_RUNS).map((name) => `“${name}”`);
  const rest = names.length - shown.length;
  const all = rest > 0 ? [...shown, `${rest} more`] : shown;
  const last = all.at(-1) ?? "";
  const said = all.length > 1 ? `${all.slice(0, -1).join(", ")} and ${last}` : last;
  return `${said} ${all.length === 1 ? "uses" : "use"}`;
}
