import { useMutation, useQuery } from "@tanstack/react-query";
import { promptSets, uploadSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import { FileDrop } from "@/components/file-drop";
import { Select } from "@/components/select";
import { showError } from "@/features/runs/run-actions";

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
            label: set.name,
            hint: set.origin === "shipped" ? "shipped" : undefined,
          }))}
          onChange={onPath}
          className="w-full"
        />
      ) : null}
      <FileDrop
        label={label}
        hint={hint}
        accept=".jsonl,.ndjson,.json"
        busy={upload.isPending}
        onFile={(file) => upload.mutate(file)}
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
