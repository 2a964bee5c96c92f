import { useWorkspace } from "@/api/workspace";
import { ButtonLink } from "@/components/button-link";
import { Notice } from "@/components/states";

/** A run at work has the models' memory: who it is, and that it can be paused. */
export function Blocked({ reason }: { reason: string | null }) {
  const { queue, runs } = useWorkspace();
  const run = queue?.active ? runs[queue.active.run_id] : undefined;
  return (
    <Notice
      tone="warn"
      title={run ? `The run “${run.name}” has the GPU` : (reason ?? "A run has the GPU")}
      action={
        run ? (
          <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }} size="sm">
            Open the run
          </ButtonLink>
        ) : null
      }
    >
      Both together could exceed the memory. Pause the run to ask now; it resumes where it was.
    </Notice>
  );
}
