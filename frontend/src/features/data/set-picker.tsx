import { useMutation, useQuery } from "@tanstack/react-query";
import { isDesktop, pickFile } from "@/api/desktop";
import { promptSets, registerSet, uploadSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import { FileDrop } from "@/components/file-drop";
import { Select } from "@/components/select";
import { setName } from "@/features/data/set-name";
import { showError } from "@/features/runs/run-actions";

const ENDINGS = ["jsonl", "ndjson", "json"];
const DESKTOP_HINT =
  "A JSONL file, checked at once. Browsed, it is used where it is; dropped, it is copied into the workspace.";

interface SetPickerProps {
  label: string;
  hint: string;
  path: string | null;
  onPath: (path: string) => void;
}

/** A set that is known, or a file dropped here, which is copied into the workspace. */
export function SetPicker({ label, hint, path, onPath }: SetPickerProps) {
  const sets = useQuery(promptSets()).data ?? [];
  const upload = useUpload((set) => onPath(set.path));
  const browse = useBrowse((set) => onPath(set.path));
  const prompts = sets.filter((set) => set.kind === "prompts" && set.is_here);
  return (
    <div className="flex flex-col gap-2">
      {prompts.length > 0 ? (
        <Select
          label={`${label}: choose a set`}
          value={prompts.some((set) => set.path === path) ? (path ?? "") : ""}
          placeholder="Choose a set of this workspace"
          choices={prompts.map((set) => ({
            value: set.path,
            label: setName(set, prompts),
            hint: set.origin === "shipped" ? "shipped" : undefined,
          }))}
          onChange={onPath}
          className="w-full"
        />
      ) : null}
      <FileDrop
        label={label}
        hint={isDesktop() ? DESKTOP_HINT : hint}
        accept={ENDINGS.map((ending) => `.${ending}`).join(",")}
        busy={upload.isPending || browse.isPending}
        onFile={(file) => upload.mutate(file)}
        onBrowse={isDesktop() ? () => browse.mutate() : undefined}
      />
    </div>
  );
}

export function useUpload(onSet: (set: Awaited<ReturnType<typeof uploadSet>>) => void) {
  return useMutation({
    mutationFn: uploadSet,
    onSuccess: async (set) => {
      await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
      onSet(set);
    },
    onError: showError,
  });
}

/** Picks with the system's own dialog; the file is used where it is. */
function useBrowse(onSet: (set: Awaited<ReturnType<typeof registerSet>>) => void) {
  return useMutation({
    mutationFn: async () => {
      const path = await pickFile("Choose a JSONL file", ENDINGS);
      return path === null ? null : registerSet(path);
    },
    onSuccess: async (set) => {
      if (set !== null) {
        await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
        onSet(set);
      }
    },
    onError: showError,
  });
}
