import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { folders } from "@/api/folders";
import { describeError } from "@/api/problem";
import { promptSets, registerSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { PromptSet } from "@/api/types";
import { Button } from "@/components/button";
import { FileDrop } from "@/components/file-drop";
import { Input } from "@/components/input";
import { PageDrop } from "@/components/page-drop";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { SetDetail } from "@/features/data/set-detail";
import { SetList } from "@/features/data/set-list";
import { setName } from "@/features/data/set-name";
import { useUpload } from "@/features/data/set-picker";
import { isPending } from "@/features/data/set-rows";
import { showError } from "@/features/runs/run-actions";

const EVERY_MS = 700;

/** The sets of the workspace as a table; one that is chosen is looked at line by line. */
export function DataPage() {
  const { set: chosenId } = useSearch({ from: "/data" });
  const navigate = useNavigate({ from: "/data" });
  const sets = useQuery({
    ...promptSets(),
    refetchInterval: ({ state }) => (state.data?.some(isPending) ? EVERY_MS : false),
  });
  const open = (set: PromptSet) => void navigate({ search: (now) => ({ ...now, set: set.id }) });
  const upload = useUpload(open);
  const chosen = sets.data?.find((set) => set.id === chosenId);
  return (
    <div className="flex flex-col">
      <PageHeader
        title={
          chosenId === undefined ? (
            "Data"
          ) : (
            <Way name={chosen && setName(chosen, sets.data ?? [])} />
          )
        }
      />
      <PageDrop targets={[{ label: "Add the file", onFile: (file) => upload.mutate(file) }]} />
      <div className="flex min-w-0 flex-col gap-3 px-4 pb-4">
        {sets.isPending ? (
          <SkeletonRows count={12} />
        ) : sets.error ? (
          <ErrorState
            title={describeError(sets.error).title}
            reason={describeError(sets.error).reason}
            retry={() => void sets.refetch()}
          />
        ) : chosen ? (
          <SetDetail key={chosen.id} set={chosen} others={sets.data} onSet={open} />
        ) : chosenId === undefined ? (
          <>
            <div className="grid items-stretch gap-3 lg:grid-cols-2">
              <FileDrop
                label="Add a file"
                hint="Prompts, conversations, inputs or a long prompt; it is copied and checked."
                accept=".jsonl,.ndjson,.json,.parquet,.csv,.tsv,.tab,.psv,.txt,.md"
                busy={upload.isPending}
                onFile={(file) => upload.mutate(file)}
              />
              <RegisterByPath onSet={open} />
            </div>
            <SetList sets={sets.data} />
          </>
        ) : (
          <EmptyState title="This set is not on the list any more">
            It was removed, or belongs to another workspace.
          </EmptyState>
        )}
      </div>
    </div>
  );
}

/** The way back to the list, and where one is. */
function Way({ name }: { name: string | undefined }) {
  return (
    <span className="flex min-w-0 items-center gap-1">
      <Link
        to="/data"
        search={({ set: _, ...rest }) => rest}
        className="text-muted hover:underline"
      >
        Data
      </Link>
      <ChevronRight className="size-4 shrink-0 text-faint" aria-hidden />
      <span className="truncate">{name ?? "–"}</span>
    </span>
  );
}

function RegisterByPath({ onSet }: { onSet: (set: PromptSet) => void }) {
  const [path, setPath] = useState("");
  const recent = useQuery(folders()).data?.recent ?? [];
  const register = useMutation({
    mutationFn: registerSet,
    onSuccess: async (set) => {
      setPath("");
      await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
      void queryClient.invalidateQueries({ queryKey: ["folders"] });
      onSet(set);
    },
    onError: showError,
  });
  return (
    <form
      className="flex items-center gap-2 rounded-lg border border-dashed border-line-strong bg-sunken px-3 py-3"
      onSubmit={(event) => {
        event.preventDefault();
        register.mutate(path);
      }}
    >
      <Input
        aria-label="Path of a file"
        list="recent-folders"
        autoComplete="off"
        placeholder="Or use a file where it is: /path/prompts.jsonl"
        value={path}
        onChange={(event) => setPath(event.target.value)}
        className="grow"
      />
      <datalist id="recent-folders">
        {recent.map((folder) => (
          <option key={folder} value={`${folder}/`} />
        ))}
      </datalist>
      <Button type="submit" disabled={path === ""} busy={register.isPending}>
        Add
      </Button>
    </form>
  );
}
