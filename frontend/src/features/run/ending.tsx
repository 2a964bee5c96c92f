import type { RunDetail } from "@/api/types";
import { Button } from "@/components/button";
import { ScrolledText } from "@/components/scrolled-text";
import { Notice } from "@/components/states";
import { useKeysInWords } from "@/features/runs/key-names";
import { useRunVerb } from "@/features/runs/run-actions";
import { isAtWork } from "@/features/runs/run-state";

/** Why a run is not going on: its post-mortem, its own last words, or damage in its folder. */
export function Ending({ detail }: { detail: RunDetail }) {
  const { run, postmortem, failure } = detail;
  const inWords = useKeysInWords();
  return (
    <>
      {run.damage ? (
        <Notice tone="bad" title="Part of this run cannot be read">
          {run.damage}
        </Notice>
      ) : null}
      {isAtWork(run.state) ? null : postmortem ? (
        <Notice
          tone="bad"
          title={inWords(postmortem.message)}
          action={<ResumeButton runId={run.run_id} step={postmortem.resume_from} />}
        >
          <p>{inWords(postmortem.action)}</p>
          {postmortem.log_tail && postmortem.log_tail.length > 0 ? (
            <details className="mt-1">
              <summary>Its last lines</summary>
              <ScrolledText
                label="Its last lines"
                text={postmortem.log_tail.join("\n")}
                className="mt-1"
              />
            </details>
          ) : null}
        </Notice>
      ) : failure ? (
        <Notice tone="bad" title={inWords(failure)}>
          <p>{inWords(detail.failure_action)}</p>
          {detail.failure_code ? (
            <p className="label mt-1 font-mono">{detail.failure_code}</p>
          ) : null}
        </Notice>
      ) : null}
    </>
  );
}

function ResumeButton({ runId, step }: { runId: string; step: number | null | undefined }) {
  const verb = useRunVerb();
  if (step === null || step === undefined) {
    return null;
  }
  return (
    <Button busy={verb.isPending} onClick={() => verb.mutate({ runId, verb: "resume" })}>
      Resume from step {step}
    </Button>
  );
}
