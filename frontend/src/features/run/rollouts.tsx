import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ROLLOUTS_PER_PAGE, rolloutPage } from "@/api/files";
import type { LiveRun } from "@/api/live-run";
import { describeError } from "@/api/problem";
import type { RolloutRecord } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount, formatNumber } from "@/components/format";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { TokenView } from "@/features/run/token-view";
import { tokensOf } from "@/features/run/tokens";

/** All rollouts, newest first; new ones wait behind a button, so that nothing moves under a reader. */
export function Rollouts({ runId, live }: { runId: string; live: LiveRun }) {
  const [page, setPage] = useState(0);
  const rollouts = useQuery(rolloutPage(runId, page));
  const newest = live.rollouts.at(-1)?.step ?? 0;
  const shownStep = rollouts.data?.rollouts[0]?.step ?? 0;
  if (rollouts.isPending) {
    return <SkeletonRows />;
  }
  if (rollouts.error) {
    const { title, reason } = describeError(rollouts.error);
    return <ErrorState title={title} reason={reason} retry={() => void rollouts.refetch()} />;
  }
  const { rollouts: records, total } = rollouts.data;
  if (total === 0) {
    return (
      <EmptyState title="No rollouts yet">
        They appear with the first step: what the student wrote, and how far it is from the teacher
        at every token.
      </EmptyState>
    );
  }
  const pages = Math.ceil(total / ROLLOUTS_PER_PAGE);
  return (
    <div className="flex flex-col gap-3">
      <div className="num flex items-center gap-2">
        <Legend />
        {page === 0 && newest > shownStep ? (
          <Button size="sm" onClick={() => void rollouts.refetch()}>
            Show newer, up to step {newest}
          </Button>
        ) : null}
        <span className="ml-auto text-muted">
          {formatCount(total)} rollouts, page {page + 1} of {pages}
        </span>
        <Button size="sm" disabled={page === 0} onClick={() => setPage(page - 1)}>
          Newer
        </Button>
        <Button size="sm" disabled={page + 1 >= pages} onClick={() => setPage(page + 1)}>
          Older
        </Button>
      </div>
      {records.map((record) => (
        <RolloutCard key={`${record.step} ${record.index}`} record={record} />
      ))}
    </div>
  );
}

function Legend() {
  return (
    <span className="flex items-center gap-2 text-sm text-muted">
      Divergence a token: 0
      <span
        aria-hidden
        className="h-2 w-24 rounded-sm border"
        style={{
          background:
            "linear-gradient(to right, transparent, color-mix(in oklab, var(--color-bad) 45%, transparent))",
        }}
      />
      2 nats and more
    </span>
  );
}

export function RolloutCard({ record }: { record: RolloutRecord }) {
  const mean =
    record.divergence.reduce((sum, value) => sum + value, 0) /
    Math.max(record.divergence.length, 1);
  return (
    <Card
      title={
        <span className="num">
          Step {record.step}
          <span className="font-normal text-muted">
            {" "}
            · {record.token_ids.length} tokens · {formatNumber(mean, 3)} nats/token
          </span>
        </span>
      }
      actions={
        <>
          {record.source === "teacher" ? <Badge>the teacher’s own</Badge> : null}
          {record.finish_reason === "length" ? <Badge tone="warn">truncated</Badge> : null}
        </>
      }
    >
      <p className="mb-2 max-h-20 overflow-y-auto whitespace-pre-wrap text-muted">
        {record.prompt}
      </p>
      <TokenView id={`${record.step}-${record.index}`} tokens={tokensOf(record)} />
    </Card>
  );
}
