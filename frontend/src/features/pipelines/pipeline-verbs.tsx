import { useMutation } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { type PipelineStatus, pausePipeline, startPipeline } from "@/api/pipelines";
import { queryClient } from "@/api/query-client";
import { Button } from "@/components/button";
import { showError } from "@/features/runs/run-actions";

type Wish = "pause" | "start" | "start anyway";

function ask(pipelineId: string, wish: Wish): Promise<PipelineStatus> {
  return wish === "pause"
    ? pausePipeline(pipelineId)
    : startPipeline(pipelineId, wish === "start anyway");
}

/** What can be done with a pipeline: pause it, begin it, go on with it. */
export function PipelineVerbs({ status }: { status: PipelineStatus }) {
  const { mutate, isPending, variables, isSuccess } = useMutation({
    mutationFn: (wish: Wish) => ask(status.pipeline_id, wish),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["pipelines"] }),
    onError: showError,
  });
  if (status.state === "finished") {
    return null;
  }
  if (status.state === "running") {
    // A stage first writes its checkpoint; until then the pipeline goes on being at work.
    const isPausing = variables === "pause" && (isPending || isSuccess);
    return (
      <Button icon={<Pause aria-hidden />} busy={isPausing} onClick={() => mutate("pause")}>
        {isPausing ? "Pausing" : "Pause"}
      </Button>
    );
  }
  const verb = status.state === "created" ? "Start" : "Resume";
  return (
    <>
      {status.state === "paused" ? (
        <Button
          look="quiet"
          disabled={isPending}
          title="Start even when less memory is free than a stage needs"
          onClick={() => mutate("start anyway")}
        >
          Resume anyway
        </Button>
      ) : null}
      <Button
        look="primary"
        icon={<Play aria-hidden />}
        busy={isPending}
        onClick={() => mutate("start")}
      >
        {verb}
      </Button>
    </>
  );
}
