import { useMutation } from "@tanstack/react-query";
import { MessageSquarePlus, SlidersHorizontal } from "lucide-react";
import { unloadPlayground } from "@/api/playground";
import { queryClient } from "@/api/query-client";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { Select } from "@/components/select";
import type { Asked } from "@/features/playground/rounds";
import { showError } from "@/features/runs/run-actions";

interface TalkHeaderProps {
  run: RunSummary;
  runs: readonly RunSummary[];
  onRun: (runId: string) => void;
  /** The checkpoint that the page was opened for; null for none. */
  step: number | null;
  checkpoint: Asked;
  onCheckpoint: (checkpoint: Asked) => void;
  memoryGb: number | null;
  canUnload: boolean;
  /** Null where there is nothing to begin anew. */
  onNewChat: (() => void) | null;
  isOpen: boolean;
  onOpen: (isOpen: boolean) => void;
}

/** Who is asked, and the page's verbs. */
export function TalkHeader(props: TalkHeaderProps) {
  const { run, runs, onRun, memoryGb, canUnload, onNewChat, isOpen, onOpen } = props;
  return (
    <PageHeader
      title="Playground"
      detail={memoryGb ? `${formatNumber(memoryGb, 3)} GB in use` : undefined}
      actions={
        <>
          <Select
            label="Run"
            value={run.run_id}
            choices={runs.map(({ run_id, name }) => ({ value: run_id, label: name }))}
            onChange={onRun}
            className="w-52 xl:w-72"
          />
          <CheckpointChoice {...props} />
          {canUnload ? <Unload /> : null}
          {onNewChat ? (
            <Button icon={<MessageSquarePlus aria-hidden />} onClick={onNewChat}>
              New chat
            </Button>
          ) : null}
          <Button
            icon={<SlidersHorizontal aria-hidden />}
            aria-expanded={isOpen}
            aria-label="How to ask"
            title={isOpen ? "Hide the settings" : "System prompt, temperature, seed, blind vote"}
            onClick={() => onOpen(!isOpen)}
          />
        </>
      }
    />
  );
}

function CheckpointChoice({ step, checkpoint, onCheckpoint }: TalkHeaderProps) {
  const named = { value: String(step), label: `Checkpoint of step ${step}` };
  return (
    <Select
      label="Checkpoint"
      value={String(checkpoint)}
      choices={[
        ...(step === null ? [] : [named]),
        { value: "best", label: "Best checkpoint" },
        { value: "last", label: "Last checkpoint" },
      ]}
      onChange={(value) =>
        onCheckpoint(value === "last" || value === "best" ? value : Number(value))
      }
    />
  );
}

function Unload() {
  const unload = useMutation({
    mutationFn: unloadPlayground,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["playground"] }),
    onError: showError,
  });
  return (
    <Button
      busy={unload.isPending}
      title="Frees the memory that the models hold"
      onClick={() => unload.mutate()}
    >
      Unload
    </Button>
  );
}
