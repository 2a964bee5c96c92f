import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import {
  Ellipsis,
  MessagesSquare,
  PackageOpen,
  Pause,
  Play,
  Square,
  SquareX,
  Star,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { bundleUrl } from "@/api/files";
import type { ConnectionState } from "@/api/run-events";
import { duplicateRun } from "@/api/runs";
import type { RunDetail, RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { Dialog } from "@/components/dialog";
import { Input } from "@/components/input";
import { Menu } from "@/components/menu";
import { ProofBadge } from "@/features/run/proof-badge";
import { faceOf, whatHappens } from "@/features/run/run-face";
import {
  deleteRuns,
  type RunVerb,
  showError,
  useAnnotate,
  useRunVerb,
  VERB_LABELS,
  verbsFor,
} from "@/features/runs/run-actions";
import { isAtWork, RunStateBadge } from "@/features/runs/run-state";

const ICONS: Record<RunVerb, ReactNode> = {
  start: <Play aria-hidden />,
  resume: <Play aria-hidden />,
  pause: <Pause aria-hidden />,
  stop: <Square aria-hidden />,
  kill: <SquareX aria-hidden />,
  dequeue: <SquareX aria-hidden />,
};

interface RunHeaderProps {
  detail: RunDetail;
  connection: ConnectionState;
}

export function RunHeader({ detail, connection }: RunHeaderProps) {
  const { run } = detail;
  return (
    <header className="flex shrink-0 flex-col gap-1 px-4 py-2">
      <div className="flex items-start gap-3">
        <h1 className="min-w-0 grow pt-1 text-lg font-semibold">
          <RunName run={run} />
        </h1>
        <div className="flex shrink-0 items-center gap-2">
          {/* A run whose settings cannot be read can neither start nor go on. */}
          {run.damage && !isAtWork(run.state) ? null : <Verbs run={run} />}
          <NextSteps run={run} />
          <MoreMenu run={run} />
        </div>
      </div>
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <RunStateBadge state={run.state} />
        {faceOf(detail).proves ? (
          <ProofBadge
            passed={run.proof_passed}
            checks={detail.self_test}
            isOver={run.state === "finished"}
          />
        ) : null}
        <span className="num min-w-0 grow basis-0 truncate text-muted">
          {whatHappens(run)}
          {run.queue_position === null ? "" : `, number ${run.queue_position + 1} in the queue`}
          {isAtWork(run.state) && connection === "reconnecting" ? ", reconnecting" : ""}
        </span>
      </div>
    </header>
  );
}

/** What one does with a student that has learned. */
function NextSteps({ run }: { run: RunSummary }) {
  if (isAtWork(run.state) || !run.has_checkpoint) {
    return null;
  }
  return (
    <>
      <ButtonLink
        to="/playground"
        search={{ run: run.run_id }}
        icon={<MessagesSquare aria-hidden />}
      >
        Try it
      </ButtonLink>
      <ButtonLink to="/export" search={{ run: run.run_id }} icon={<PackageOpen aria-hidden />}>
        Export
      </ButtonLink>
    </>
  );
}

function RunName({ run }: { run: RunSummary }) {
  const annotate = useAnnotate(run.run_id);
  const [draft, setDraft] = useState<string | null>(null);
  if (draft === null) {
    return (
      <button
        type="button"
        title={`${run.name}: press to rename`}
        onClick={() => setDraft(run.name)}
        className="line-clamp-2 rounded-sm text-left break-words hover:bg-hover"
      >
        {run.name}
      </button>
    );
  }
  function save() {
    const name = draft?.trim();
    if (name !== undefined && name !== run.name) {
      annotate.mutate({ name: name === "" ? null : name });
    }
    setDraft(null);
  }
  return (
    <Input
      autoFocus
      aria-label="Name of the run"
      value={draft}
      maxLength={120}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={save}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          save();
        }
        if (event.key === "Escape") {
          setDraft(null);
        }
      }}
    />
  );
}

/** Pause, stop and resume; what loses steps asks first. */
function Verbs({ run }: { run: RunSummary }) {
  const verb = useRunVerb();
  const [isAsking, setAsking] = useState(false);
  const canBeKilled = verbsFor(run.state).includes("kill");
  const send = (name: RunVerb) => verb.mutate({ runId: run.run_id, verb: name });
  return (
    <>
      {verbsFor(run.state).map((name) => (
        <Button
          key={name}
          look={
            name === "start" || name === "resume" ? "primary" : name === "kill" ? "danger" : "plain"
          }
          icon={ICONS[name]}
          busy={verb.isPending && verb.variables.verb === name}
          onClick={() => (name === "kill" ? setAsking(true) : send(name))}
        >
          {VERB_LABELS[name]}
        </Button>
      ))}
      <Dialog
        open={isAsking && canBeKilled}
        onOpenChange={setAsking}
        title="Stop this run now?"
        footer={
          <>
            <Button onClick={() => setAsking(false)}>Cancel</Button>
            <Button
              look="danger"
              onClick={() => {
                setAsking(false);
                send("kill");
              }}
            >
              Stop now
            </Button>
          </>
        }
      >
        <p>
          Steps since the last checkpoint are lost. Stop and keep finishes the step at work, saves
          what was learned and ends the run.
        </p>
      </Dialog>
    </>
  );
}

function MoreMenu({ run }: { run: RunSummary }) {
  const navigate = useNavigate();
  const annotate = useAnnotate(run.run_id);
  const duplicate = useMutation({
    mutationFn: () =>
      duplicateRun(run.run_id, {
        changes: {},
        annotations: {
          name: `${run.name} again`.slice(0, 120),
          tags: [],
          note: "",
          favourite: false,
          archived: false,
        },
        start: false,
      }),
    onSuccess: (made) => navigate({ to: "/runs/$runId", params: { runId: made.run_id } }),
    onError: showError,
  });
  const isFavourite = run.annotations.favourite ?? false;
  const isArchived = run.annotations.archived ?? false;
  return (
    <>
      <Button
        look="quiet"
        icon={<Star aria-hidden fill={isFavourite ? "currentColor" : "none"} />}
        aria-label={isFavourite ? "Remove from the favourites" : "Make it a favourite"}
        aria-pressed={isFavourite}
        className="aria-pressed:text-teacher"
        onClick={() => annotate.mutate({ favourite: !isFavourite })}
      />
      <Menu
        trigger={<Button look="quiet" icon={<Ellipsis aria-hidden />} aria-label="More actions" />}
        items={[
          {
            label: "Clone and edit",
            disabled: run.method === "evaluation" || run.method === "unknown",
            onSelect: () =>
              void navigate({
                to: "/new/$step",
                params: { step: "review" },
                search: { from: run.run_id },
              }),
          },
          { label: "Duplicate", onSelect: () => duplicate.mutate() },
          {
            label: "Download as a bundle",
            onSelect: () => window.location.assign(bundleUrl(run.run_id)),
          },
          {
            label: isArchived ? "Bring back from the archive" : "Archive",
            onSelect: () => annotate.mutate({ archived: !isArchived }),
          },
          {
            label: "Delete",
            danger: true,
            disabled: isAtWork(run.state),
            onSelect: () => void deleteRuns([run]).then(() => navigate({ to: "/runs" })),
          },
        ]}
      />
    </>
  );
}
