import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { toast } from "sonner";
import { isDesktop, pickFolder } from "@/api/desktop";
import { chooseFolders, folders } from "@/api/folders";
import { ApiError, describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import type { FoldersView, FolderView } from "@/api/types";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { FOLDER_WORDS, Problem, Room } from "@/features/settings/folder-parts";

interface ChosenFolderProps {
  place: "exports" | "picker";
  folder: FolderView;
  told: FoldersView;
}

/** A folder that the user chooses; one that cannot be used is told when it is saved. */
export function ChosenFolder({ place, folder, told }: ChosenFolderProps) {
  const [label, words] = FOLDER_WORDS[place];
  const [path, setPath] = useState(folder.path ?? "");
  const listId = useId();
  const save = useMutation({
    mutationFn: (wanted: string | null) => chooseFolders({ ...told.chosen, [place]: wanted }),
    onSuccess: (now) => {
      queryClient.setQueryData(folders().queryKey, now);
      toast("Saved.");
    },
  });
  const browse = async () => setPath((await pickFolder(`Choose a folder: ${label}`)) ?? path);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(path.trim() || null);
      }}
    >
      <Field label={label} help={words} error={wrongIn(save.error)}>
        {(control) => (
          <span className="flex flex-wrap items-center gap-2">
            <Input
              {...control}
              list={listId}
              autoComplete="off"
              spellCheck={false}
              placeholder="/path/to/a/folder"
              value={path}
              onChange={(event) => setPath(event.target.value)}
              className="min-w-48 grow basis-48"
            />
            <datalist id={listId}>
              {told.recent.map((recent) => (
                <option key={recent} value={recent} />
              ))}
            </datalist>
            {isDesktop() ? <Button onClick={() => void browse()}>Browse</Button> : null}
            <Button
              type="submit"
              busy={save.isPending}
              disabled={path.trim() === (folder.path ?? "")}
            >
              Save
            </Button>
            {folder.is_chosen ? (
              <Button look="quiet" disabled={save.isPending} onClick={() => save.mutate(null)}>
                Use the default
              </Button>
            ) : null}
          </span>
        )}
      </Field>
      <Room folder={folder} />
      <Problem folder={folder} />
    </form>
  );
}

/** What is wrong with the folder itself, else why it could not be saved. */
function wrongIn(error: Error | null): string | undefined {
  if (error === null) {
    return undefined;
  }
  const [first] = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  return first?.message ?? describeError(error).title;
}
