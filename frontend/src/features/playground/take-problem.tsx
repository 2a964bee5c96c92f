import { useQuery } from "@tanstack/react-query";
import { FileText } from "lucide-react";
import { useState } from "react";
import { setPicture } from "@/api/pictures";
import { describeError } from "@/api/problem";
import { promptSets, setPreview } from "@/api/prompt-sets";
import type { PreviewItem, PromptSet } from "@/api/types";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Thumbnail } from "@/components/picture";
import { Select } from "@/components/select";
import { ErrorState, SkeletonRows } from "@/components/states";
import { setName } from "@/features/data/set-name";

interface TakeProblemProps {
  onTake: (setId: string, item: PreviewItem) => void;
}

/** Takes a line of a set as the question, with its words and its pictures. */
export function TakeProblem({ onTake }: TakeProblemProps) {
  const [isOpen, setOpen] = useState(false);
  const sets = (useQuery(promptSets()).data ?? []).filter((set) => set.is_here);
  const [setId, setSetId] = useState("");
  const chosen = sets.find(({ id }) => id === setId) ?? sets[0];
  return (
    <>
      <Button
        size="sm"
        look="quiet"
        icon={<FileText aria-hidden />}
        onClick={() => setOpen(true)}
        disabled={!chosen}
      >
        From a set
      </Button>
      <Dialog
        open={isOpen}
        onOpenChange={setOpen}
        title="Use a prompt from a set"
        description="Its words and its pictures become the question."
      >
        {chosen ? (
          <>
            <Select
              label="Set"
              value={chosen.id}
              choices={sets.map((set) => ({ value: set.id, label: setName(set, sets) }))}
              onChange={setSetId}
              className="mb-3 w-full"
            />
            <Lines
              key={chosen.id}
              set={chosen}
              onTake={(item) => {
                setOpen(false);
                onTake(chosen.id, item);
              }}
            />
          </>
        ) : null}
      </Dialog>
    </>
  );
}

interface LinesProps {
  set: PromptSet;
  onTake: (item: PreviewItem) => void;
}

function Lines({ set, onTake }: LinesProps) {
  const [page, setPage] = useState(0);
  const preview = useQuery(setPreview(set.id, null, page));
  if (preview.isPending) {
    return <SkeletonRows count={4} />;
  }
  if (!preview.data) {
    return <ErrorState {...describeError(preview.error)} retry={() => void preview.refetch()} />;
  }
  return (
    <>
      <ul className="divide-y rounded-md border">
        {preview.data.items
          .filter(({ problem }) => !problem)
          .map((item) => (
            <li key={item.line}>
              <button
                type="button"
                className="flex w-full gap-3 px-2 py-1.5 text-left hover:bg-hover"
                onClick={() => onTake(item)}
              >
                <span className="num w-8 shrink-0 text-right text-faint">{item.line}</span>
                {item.pictures?.[0] ? (
                  <Thumbnail
                    picture={{ src: setPicture(set.id, item.line, 1), name: "" }}
                    className="size-10 shrink-0 rounded-sm border"
                  />
                ) : null}
                <span className="line-clamp-2 min-w-0 break-words">{item.text}</span>
              </button>
            </li>
          ))}
      </ul>
      <div className="mt-2 flex justify-end gap-2">
        <Button size="sm" disabled={page === 0} onClick={() => setPage(page - 1)}>
          Back
        </Button>
        <Button size="sm" disabled={!preview.data.has_more} onClick={() => setPage(page + 1)}>
          Next
        </Button>
      </div>
    </>
  );
}
