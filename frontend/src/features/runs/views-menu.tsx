import { useMutation, useQuery } from "@tanstack/react-query";
import { Bookmark, Trash2 } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/query-client";
import { runViews, saveViews } from "@/api/run-lists";
import type { SavedView } from "@/api/types";
import { Button } from "@/components/button";
import { Input } from "@/components/input";
import { Popover } from "@/components/popover";
import type { RunSearch } from "@/features/runs/listing";
import { showError } from "@/features/runs/run-actions";
import { searchOfView, viewOf } from "@/features/runs/views";

interface ViewsMenuProps {
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
}

/** Filters, columns, order and groups under a name, to come back to. */
export function ViewsMenu({ search, change }: ViewsMenuProps) {
  const views = useQuery(runViews()).data?.views ?? [];
  const [name, setName] = useState("");
  const save = useMutation({
    mutationFn: saveViews,
    onSuccess: (saved) => queryClient.setQueryData(runViews().queryKey, saved),
    onError: showError,
  });
  return (
    <Popover
      label="Saved views"
      align="end"
      trigger={<Button icon={<Bookmark aria-hidden />}>Views</Button>}
    >
      <ul className="w-72">
        {views.map((view) => (
          <Line
            key={view.name}
            view={view}
            open={() => change(searchOfView(view))}
            remove={() => save.mutate(views.filter((each) => each.name !== view.name))}
          />
        ))}
        {views.length === 0 ? <li className="px-2 py-1 text-muted">No view saved yet.</li> : null}
      </ul>
      <form
        className="mt-1 flex gap-2 border-t pt-2"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate([...views, viewOf(name.trim(), search)]);
          setName("");
        }}
      >
        <Input
          aria-label="Name of the view"
          placeholder="Save this list as"
          value={name}
          maxLength={80}
          onChange={(event) => setName(event.target.value)}
          className="min-w-0 grow"
        />
        <Button type="submit" disabled={name.trim() === ""} busy={save.isPending}>
          Save
        </Button>
      </form>
    </Popover>
  );
}

interface LineProps {
  view: SavedView;
  open: () => void;
  remove: () => void;
}

function Line({ view, open, remove }: LineProps) {
  return (
    <li className="flex items-center">
      <button
        type="button"
        onClick={open}
        className="h-7 min-w-0 grow truncate rounded-sm px-2 text-left hover:bg-hover"
      >
        {view.name}
      </button>
      <Button
        look="quiet"
        size="sm"
        icon={<Trash2 aria-hidden />}
        aria-label={`Delete the view ${view.name}`}
        onClick={remove}
      />
    </li>
  );
}
