import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { toast } from "sonner";
import { queryClient } from "@/api/query-client";
import { resumeFrom } from "@/api/runs";
import type { RunDetail } from "@/api/types";
import { learnRun } from "@/api/workspace";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { showStartError } from "@/features/runs/run-actions";
import { isAtWork } from "@/features/runs/run-state";

interface CheckpointActionsProps {
  detail: RunDetail;
  step: number;
  isNewest: boolean;
}

/** What can be done with exactly this checkpoint. */
export function CheckpointActions({ detail, step, isNewest }: CheckpointActionsProps) {
  const { run, facts } = detail;
  const search = { run: run.run_id, checkpoint: step };
  const named = (what: string) => `${what} the checkpoint of step ${step}`;
  return (
    <div className="flex justify-end gap-1">
      <ButtonLink to="/playground" search={search} size="sm" aria-label={named("Try")}>
        Try
      </ButtonLink>
      {facts?.grafts ? null : (
        <ButtonLink
          to="/evaluate"
          search={{ form: true, student: run.run_id, checkpoint: step }}
          size="sm"
          aria-label={named("Evaluate")}
        >
          Evaluate
        </ButtonLink>
      )}
      <ButtonLink to="/export" search={search} size="sm" aria-label={named("Export")}>
        Export
      </ButtonLink>
      <ResumeFrom detail={detail} step={step} isNewest={isNewest} />
    </div>
  );
}

/** Goes on from here: the run itself from its newest checkpoint, else a new run. */
function ResumeFrom({ detail: { run }, step, isNewest }: CheckpointActionsProps) {
  const navigate = useNavigate();
  const resume = useMutation({
    mutationFn: (anyway: boolean) => resumeFrom(run.run_id, step, anyway),
    onSuccess: (going) => {
      learnRun(going);
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
      if (going.run_id !== run.run_id) {
        toast(`A new run goes on from step ${step}. “${run.name}” stays as it is.`);
      }
      void navigate({ to: "/runs/$runId", params: { runId: going.run_id } });
    },
    onError: (error) => showStartError(error, () => resume.mutate(true)),
  });
  const goesOnItself = isNewest && run.state !== "finished";
  const isTaken = goesOnItself && (isAtWork(run.state) || run.state === "queued");
  return (
    <Button
      size="sm"
      busy={resume.isPending}
      disabled={isTaken}
      aria-label={`Resume from here, step ${step}`}
      title={
        isTaken
          ? "The run is at work on it"
          : goesOnItself
            ? "The run goes on"
            : "A new run goes on from here; this one stays as it is"
      }
      onClick={() => resume.mutate(false)}
    >
      Resume from here
    </Button>
  );
}
