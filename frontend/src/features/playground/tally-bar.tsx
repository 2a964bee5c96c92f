import { useMutation, useQuery } from "@tanstack/react-query";
import { blindTally, clearVotes } from "@/api/playground";
import { queryClient } from "@/api/query-client";
import { Button } from "@/components/button";
import { tallyText } from "@/features/playground/blind";
import { showError } from "@/features/runs/run-actions";

const percent = (share: number) => `${Math.min(Math.max(share, 0), 1) * 100}%`;

/** How often the teacher was found, with its interval, beside what guessing alone would find. */
export function TallyBar({ runId }: { runId: string }) {
  const tally = useQuery(blindTally(runId)).data;
  const clear = useMutation({
    mutationFn: () => clearVotes(runId),
    onSuccess: (cleared) => queryClient.setQueryData(blindTally(runId).queryKey, cleared),
    onError: showError,
  });
  if (!tally) {
    return null;
  }
  const { interval, num_right, num_votes } = tally;
  return (
    <div className="flex flex-col gap-1">
      <div aria-hidden className="relative h-4 rounded-sm border bg-sunken">
        {interval ? (
          <>
            <span
              className="absolute inset-y-0 bg-teacher/30"
              style={{
                left: percent(interval.low),
                width: percent(interval.high - interval.low),
              }}
            />
            <span
              className="absolute inset-y-0 w-0.5 -translate-x-1/2 bg-teacher"
              style={{ left: percent(num_right / num_votes) }}
            />
          </>
        ) : null}
        <span className="absolute inset-y-0 left-1/2 border-l border-dashed border-line-strong" />
      </div>
      <div aria-hidden className="flex justify-between text-xs text-faint">
        <span>never found</span>
        <span>guessing</span>
        <span>always</span>
      </div>
      <p className="num text-sm text-muted" role="status">
        {tallyText(tally)}
      </p>
      {num_votes > 0 ? (
        <Button
          size="sm"
          className="self-start"
          busy={clear.isPending}
          onClick={() => clear.mutate()}
        >
          Start over
        </Button>
      ) : null}
    </div>
  );
}
