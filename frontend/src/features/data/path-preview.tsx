import { useMutation, useQuery } from "@tanstack/react-query";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { describeError } from "@/api/problem";
import { promptSets, registerSet, setPreview } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import { Button } from "@/components/button";
import { ErrorState, SkeletonRows } from "@/components/states";
import { PreviewLines } from "@/features/data/preview-lines";
import { showError } from "@/features/runs/run-actions";

interface PathPreviewProps {
  path: string;
  /** Whose template renders the lines and whose tokens cut them; null shows them as they are. */
  model: string | null;
}

/** The first lines of a file that a config names, as the model will read them. */
export function PathPreview({ path, model }: PathPreviewProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="group" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="flex h-8 list-none items-center gap-1 text-muted hover:text-ink">
        <ChevronRight className="size-3.5 group-open:rotate-90" aria-hidden />
        {model === null ? "Lines as they are" : "Lines as the model reads them"}
      </summary>
      {isOpen ? <Lines path={path} model={model} /> : null}
    </details>
  );
}

function Lines({ path, model }: PathPreviewProps) {
  const sets = useQuery(promptSets());
  const set = sets.data?.find((each) => each.path === path);
  const register = useMutation({
    mutationFn: () => registerSet(path),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["prompt-sets"] }),
    onError: showError,
  });
  if (sets.isPending) {
    return <SkeletonRows count={3} />;
  }
  return set ? (
    <SetLines setId={set.id} model={model} />
  ) : (
    <p className="flex items-center gap-3 text-muted">
      Only files of this workspace are shown.
      <Button size="sm" busy={register.isPending} onClick={() => register.mutate()}>
        Add it to the workspace
      </Button>
    </p>
  );
}

function SetLines({ setId, model }: { setId: string; model: string | null }) {
  const preview = useQuery(setPreview(setId, model, 0));
  if (preview.isPending) {
    return <SkeletonRows count={3} />;
  }
  if (!preview.data) {
    const { title, reason } = describeError(preview.error);
    return <ErrorState title={title} reason={reason} retry={() => void preview.refetch()} />;
  }
  return (
    <section
      aria-label="First lines"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
      tabIndex={0}
      className="max-h-80 overflow-y-auto rounded-md border"
    >
      <PreviewLines setId={setId} items={preview.data.items} />
    </section>
  );
}
