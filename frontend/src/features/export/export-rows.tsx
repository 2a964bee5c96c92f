import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { cancelExport, deleteExport, isWorking, revealExport } from "@/api/exports";
import { queryClient } from "@/api/query-client";
import type { ExportView, WorkView } from "@/api/types";
import { Badge, type Tone } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { formatBytes, formatDuration, formatTime } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { ExportOutcomeView } from "@/features/export/export-outcome";
import { FORM_WORDS } from "@/features/export/forms";
import { PushDialog } from "@/features/export/push-dialog";
import { showError } from "@/features/runs/run-actions";

const TONES: Record<WorkView["state"], Tone> = {
  running: "accent",
  finished: "good",
  failed: "bad",
  cancelled: "warn",
  interrupted: "bad",
};

/** What was exported from this workspace, newest first. */
export function ExportRows({ exports }: { exports: readonly ExportView[] }) {
  if (exports.length === 0) {
    return null;
  }
  return (
    <Card title="Exports" flush>
      <ul className="divide-y">
        {exports.map((view) => (
          <ExportRow key={view.name} view={view} />
        ))}
      </ul>
    </Card>
  );
}

const VERBS = { cancel: cancelExport, reveal: revealExport, delete: deleteExport };

function ExportRow({ view }: { view: ExportView }) {
  const [isPushing, setPushing] = useState(false);
  const act = useMutation<unknown, Error, keyof typeof VERBS>({
    mutationFn: (verb) => VERBS[verb](view.name),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["exports"] }),
    onError: showError,
  });
  const { work, push } = view;
  const isDone = work.state === "finished";
  return (
    <li className="num flex flex-col gap-1 px-3 py-2">
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <span className="font-medium break-all">{view.name}</span>
        <Badge tone={TONES[work.state]}>{work.state === "running" ? work.what : work.state}</Badge>
        <span className="text-muted">
          {FORM_WORDS[view.form].title}
          {view.form === "quantized" ? `, ${view.bits} bits` : ""}
          {work.num_bytes === null ? "" : `, ${formatBytes(work.num_bytes)}`}, step{" "}
          {view.checkpoint}, {formatTime(view.created)}
        </span>
        <span className="ml-auto flex gap-1">
          {isDone ? (
            <>
              <Button size="sm" onClick={() => act.mutate("reveal")}>
                Show the folder
              </Button>
              <Button size="sm" onClick={() => setPushing(true)}>
                Send to the hub
              </Button>
            </>
          ) : null}
          {isWorking(view) ? (
            <Button size="sm" onClick={() => act.mutate("cancel")}>
              Cancel
            </Button>
          ) : (
            <Button size="sm" look="quiet" onClick={() => act.mutate("delete")}>
              Delete
            </Button>
          )}
        </span>
      </div>
      {isDone ? (
        <div className="flex min-w-0 items-center gap-1">
          <span className="truncate font-mono text-sm text-muted">{view.path}</span>
          <CopyButton text={view.path} label="Copy the path" />
        </div>
      ) : null}
      <Progress work={work} what={`Export ${view.name}`} />
      {work.outcome ? <ExportOutcomeView outcome={work.outcome} /> : null}
      {push ? <Sent push={push} name={view.name} /> : null}
      {isPushing ? <PushDialog name={view.name} onClose={() => setPushing(false)} /> : null}
    </li>
  );
}

function Sent({ push, name }: { push: NonNullable<ExportView["push"]>; name: string }) {
  const { state, what } = push.work;
  const words = state === "finished" ? "sent" : state === "running" ? what : `push ${state}`;
  return (
    <>
      <p className="text-muted">
        <Badge tone={TONES[state]}>{words}</Badge> {push.repository},{" "}
        {push.is_private ? "private" : "public"}
      </p>
      <Progress work={push.work} what={`Push of ${name}`} />
    </>
  );
}

function Progress({ work, what }: { work: WorkView; what: string }) {
  return (
    <>
      {work.state === "running" ? (
        <>
          <ProgressBar label={what} share={work.total ? work.done / work.total : 0} />
          {work.seconds_left ? (
            <p className="num text-sm text-muted">
              {work.what}: {formatDuration(work.seconds_left)} left
            </p>
          ) : null}
        </>
      ) : null}
      {work.message ? (
        <p className="text-bad">
          {work.message} <span className="text-muted">{work.action}</span>
        </p>
      ) : null}
    </>
  );
}
