import { useMutation, useQuery } from "@tanstack/react-query";
import { toast } from "sonner";
import { isDesktop, pickFile } from "@/api/desktop";
import { promptSets, registerSet, sentName, uploadSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { PromptSet } from "@/api/types";
import { Button } from "@/components/button";
import { FileDrop } from "@/components/file-drop";
import { Select } from "@/components/select";
import { recentSets, useRecentFiles } from "@/features/data/recent-files";
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
  const recent = useRecentFiles();
  const choose = (next: string) => {
    recent.used(next);
    onPath(next);
  };
  const upload = useUpload((set) => choose(set.path));
  const browse = useBrowse(endings, (set) => choose(set.path));
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
          onChange={choose}
          className="w-full"
        />
      ) : null}
      <Recent sets={recentSets(offered, recent.paths, path)} all={sets} onChoose={choose} />
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

interface RecentProps {
  sets: readonly PromptSet[];
  all: readonly PromptSet[];
  onChoose: (path: string) => void;
}

/** The files that were used last, one click away. */
function Recent({ sets, all, onChoose }: RecentProps) {
  if (sets.length === 0) {
    return null;
  }
  return (
    <p className="flex flex-wrap items-center gap-1 text-sm">
      <span className="text-muted">Recent</span>
      {sets.map((set) => (
        <Button key={set.id} size="sm" title={set.path} onClick={() => onChoose(set.path)}>
          <span className="max-w-48 truncate">{setName(set, all)}</span>
        </Button>
      ))}
    </p>
  );
}

export function useUpload(onSet: (set: Awaited<ReturnType<typeof uploadSet>>) => void) {
  return useMutation({
    mutationFn: uploadSet,
    onMutate: () => Date.now(),
    onSuccess: async (set, file, begun) => {
      // The backend is on this machine and has its clock: a new set is younger than the upload,
      // and has its file's name. Of two uploads at once the second's set may be as young.
      if (set.added * 1000 < begun || set.name !== sentName(file)) {
        toast(`The same content is here already as “${set.name}”.`, {
          description: `${file.name} was not copied again; that set is used.`,
        });
      }
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
