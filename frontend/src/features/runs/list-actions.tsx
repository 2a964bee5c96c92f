import { ChartLine, Ellipsis } from "lucide-react";
import { useState } from "react";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { Menu } from "@/components/menu";
import { Popover } from "@/components/popover";
import { ImportDialog } from "@/features/runs/import-dialog";
import type { RunSearch } from "@/features/runs/listing";
import { QueueList } from "@/features/runs/queue-list";
import { showError } from "@/features/runs/run-actions";
import { saveList } from "@/features/runs/save-list";
import { TrashDialog } from "@/features/runs/trash-dialog";

interface ListActionsProps {
  search: RunSearch;
  total: number;
  change: (part: Partial<RunSearch>) => void;
}

/** What can be done with the whole list: curves, queue, saving, import, trash. */
export function ListActions({ search, total, change }: ListActionsProps) {
  const [dialog, setDialog] = useState<"import" | "trash" | null>(null);
  const waiting = useWorkspace(({ queue }) => queue?.queue.length ?? 0);
  const close = () => setDialog(null);
  const save = (as: "csv" | "json") => void saveList(search, total, as).catch(showError);
  return (
    <>
      {waiting > 0 ? (
        <Popover label="Queue" align="end" trigger={<Button>{waiting} in the queue</Button>}>
          <div className="w-96 max-w-full">
            <QueueList />
          </div>
        </Popover>
      ) : null}
      <Button
        icon={<ChartLine aria-hidden />}
        aria-pressed={search.curves ?? false}
        className="aria-pressed:bg-selected"
        disabled={total === 0}
        onClick={() => change({ curves: search.curves ? undefined : true })}
      >
        Curves
      </Button>
      <Menu
        trigger={<Button icon={<Ellipsis aria-hidden />} aria-label="More actions for the list" />}
        items={[
          { label: "Save as CSV", disabled: total === 0, onSelect: () => save("csv") },
          { label: "Save as JSON", disabled: total === 0, onSelect: () => save("json") },
          { label: "Import a bundle", onSelect: () => setDialog("import") },
          { label: "Open the trash", onSelect: () => setDialog("trash") },
        ]}
      />
      {dialog === "import" ? <ImportDialog onClose={close} /> : null}
      {dialog === "trash" ? <TrashDialog onClose={close} /> : null}
    </>
  );
}
