import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { describeError } from "@/api/problem";
import { promptSets, registerSet, removeSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { PromptSet } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Dialog } from "@/components/dialog";
import { FileDrop } from "@/components/file-drop";
import { formatAgo, formatBytes, formatPlural } from "@/components/format";
import { Input } from "@/components/input";
import { PageDrop } from "@/components/page-drop";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { SetDetail } from "@/features/data/set-detail";
import { setName } from "@/features/data/set-name";
import { useUpload } from "@/features/data/set-picker";
import { showError } from "@/features/runs/run-actions";

export function DataPage() {
  const { set: chosenId } = useSearch({ from: "/data" });
  const navigate = useNavigate({ from: "/data" });
  const sets = useQuery(promptSets());
  const open = (set: PromptSet) => void navigate({ search: { set: set.id } });
  const upload = useUpload(open);
  const chosen = sets.data?.find((set) => set.id === chosenId) ?? sets.data?.[0];
  return (
    <div className="flex flex-col">
      <PageHeader title="Data" />
      <PageDrop targets={[{ label: "Add the file", onFile: (file) => upload.mutate(file) }]} />
      <div className="grid items-start gap-3 px-4 pb-4 lg:grid-cols-[300px_minmax(0,1fr)] xl:grid-cols-[360px_minmax(0,1fr)]">
        <div className="flex flex-col gap-3">
          <FileDrop
            label="Add a file"
            hint="Prompts, conversations, inputs or a long prompt; it is copied into the workspace and checked."
            accept=".jsonl,.ndjson,.json,.parquet,.csv,.tsv,.tab,.psv,.txt,.md"
            busy={upload.isPending}
            onFile={(file) => upload.mutate(file)}
          />
          <RegisterByPath onSet={open} />
          <Card title="Sets" flush>
            {sets.isPending ? (
              <SkeletonRows count={4} />
            ) : sets.error ? (
              <ErrorState
                title={describeError(sets.error).title}
                reason={describeError(sets.error).reason}
                retry={() => void sets.refetch()}
              />
            ) : sets.data.length === 0 ? (
              <EmptyState title="No files yet">
                Add what to learn from, and held-out lines of their own.
              </EmptyState>
            ) : (
              <ul className="divide-y">
                {sets.data.map((set) => (
                  <SetRow
                    key={set.id}
                    set={set}
                    name={setName(set, sets.data)}
                    isChosen={set.id === chosen?.id}
                  />
                ))}
              </ul>
            )}
          </Card>
        </div>
        {chosen ? (
          <SetDetail key={chosen.id} set={chosen} others={sets.data ?? []} onSet={open} />
        ) : null}
      </div>
    </div>
  );
}

function RegisterByPath({ onSet }: { onSet: (set: PromptSet) => void }) {
  const [path, setPath] = useState("");
  const register = useMutation({
    mutationFn: registerSet,
    onSuccess: async (set) => {
      setPath("");
      await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
      onSet(set);
    },
    onError: showError,
  });
  return (
    <form
      className="flex gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        register.mutate(path);
      }}
    >
      <Input
        aria-label="Path of a file"
        placeholder="Or name a file where it is: /path/prompts.jsonl"
        value={path}
        onChange={(event) => setPath(event.target.value)}
        className="grow"
      />
      <Button type="submit" disabled={path === ""} busy={register.isPending}>
        Add
      </Button>
    </form>
  );
}

interface SetRowProps {
  set: PromptSet;
  name: string;
  isChosen: boolean;
}

function SetRow({ set, name, isChosen }: SetRowProps) {
  const [isAsking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => removeSet(set.id, true),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["prompt-sets"] }),
    onError: showError,
  });
  return (
    <li className={`flex items-center ${isChosen ? "bg-selected" : "hover:bg-hover"}`}>
      <Link to="/data" search={{ set: set.id }} className="min-w-0 grow px-3 py-1.5">
        <span className="flex items-center gap-2">
          <span className="truncate font-medium">{name}</span>
          {set.is_here ? null : <Badge tone="bad">not there</Badge>}
          {set.is_labelled ? <Badge>has answers</Badge> : null}
          {set.origin === "shipped" ? <Badge>shipped</Badge> : null}
        </span>
        <span className="num block truncate text-sm text-muted">
          {formatBytes(set.num_bytes)}, added {formatAgo(set.added)}
          {set.used_by.length > 0 ? `, used by ${formatPlural(set.used_by.length, "run")}` : ""}
        </span>
      </Link>
      {set.origin === "shipped" ? null : (
        <Button
          look="quiet"
          size="sm"
          className="mr-2"
          icon={<Trash2 aria-hidden />}
          aria-label={`Forget ${name}`}
          onClick={() => (set.used_by.length > 0 ? setAsking(true) : remove.mutate())}
        />
      )}
      <Dialog
        open={isAsking}
        onOpenChange={setAsking}
        title={`Forget ${name}?`}
        footer={
          <>
            <Button onClick={() => setAsking(false)}>Cancel</Button>
            <Button
              look="danger"
              onClick={() => {
                setAsking(false);
                remove.mutate();
              }}
            >
              Forget it
            </Button>
          </>
        }
      >
        <p>
          {set.used_by.length === 1 ? "1 run names" : `${set.used_by.length} runs name`} this file.{" "}
          {set.origin === "upload"
            ? "It was copied into the workspace and is deleted with this."
            : "The file itself stays where it is."}
        </p>
      </Dialog>
    </li>
  );
}
