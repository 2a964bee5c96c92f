import { useMutation, useQuery } from "@tanstack/react-query";
import { isDesktop, pickFile } from "@/api/desktop";
import { promptSets, registerSet, uploadSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { PromptSet } from "@/api/types";
import { FileDrop } from "@/components/file-drop";
import { Select } from "@/components/select";
import { setName } from "@/features/data/set-name";
import { showError } from "@/features/runs/run-actions";

const WORDS: Readonly<Record<string, string>> = {
  jsonl: "JSONL",
  parquet: "parquet",
  json: "JSON",
  csv: "CSV",
  tsv: "TSV",
  txt: "text",
  md: "Markdown",
};

/** What may be dropped, as people call it: "JSONL, CSV or text". */
export function namesOf(endings: readonly string[]): string {
  const names = endings.flatMap((ending) => WORDS[ending] ?? []);
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

interface SetPickerProps {
  label: string;
  path: string | null;
  onPath: (path: string) => void;
  kinds: readonly PromptSet["kind"][];
  endings: readonly string[];
}

/** A set that is known, or a file dropped here, which is copied into the workspace. */
export function SetPicker({ label, path, onPath, kinds, endings }: SetPickerProps) {
  const sets = useQuery(promptSets()).data ?? [];
  const upload = useUpload((set) => onPath(set.path));
  const browse = useBrowse(endings, (set) => onPath(set.path));
  const offered = sets.filter((set) => kinds.includes(set.kind) && set.is_here);
  const hint = isDesktop()
    ? `As ${namesOf(endings)}, checked at once. Browsed, it is used where it is; dropped, it is copied.`
    : `As ${namesOf(endings)}; it is copied into the workspace and checked at once.`;
  return (
    <div className="flex flex-col gap-2">
      {offered.length > 0 ? (
        <Select
          label={`${label}: choose a set`}
          value={offered.some((set) => set.path === path) ? (path ?? "") : ""}
          placeholder="Choose a set of this workspace"
          choices={offered.map((set) => ({
            value: set.path,
            label: setName(set, sets),
            hint: set.origin === "shipped" ? "shipped" : undefined,
          }))}
          onChange={onPath}
          className="w-full"
        />
      ) : null}
      <FileDrop
        label={label}
        hint={hint}
        accept={endings.map((ending) => `.${ending}`).join(",")}
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
function useBrowse(
  endings: readonly string[],
  onSet: (set: Awaited<ReturnType<typeof registerSet>>) => void,
) {
  return useMutation({
    mutationFn: async () => {
      const path = await pickFile(`Choose a file: ${namesOf(endings)}`, [...endings]);
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
