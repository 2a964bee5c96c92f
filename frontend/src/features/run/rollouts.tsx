import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ROLLOUTS_PER_PAGE, rolloutPage } from "@/api/files";
import type { LiveRun } from "@/api/live-run";
import { describeError } from "@/api/problem";
import type { RolloutRecord } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount } from "@/components/format";
import { PicturedText } from "@/components/pictured-text";
import { Scrolled } from "@/components/scrolled";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { BesidePictures, picturesOf } from "@/features/run/rollout-pictures";
import { TokenView } from "@/features/run/token-view";
import {
  advantageText,
  divergenceText,
  groupsOf,
  meanDivergence,
  rewardText,
  tokensOf,
} from "@/features/run/tokens";

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
        They appear with the first step: what the student wrote, token by token.
      </EmptyState>
    );
  }
  const pages = Math.ceil(total / ROLLOUTS_PER_PAGE);
  return (
    <div className="flex flex-col gap-3">
      <div className="num flex items-center gap-2">
        {records.some((record) => record.divergence) ? <Legend /> : null}
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
      {groupsOf(records).map((group, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a step taken again has the same numbers
        <RolloutGroup key={`${group[0]?.step} ${place}`} runId={runId} group={group} />
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

interface RolloutGroupProps {
  runId: string;
  group: readonly RolloutRecord[];
}

/** A prompt with what a step completed it with: once, or several times. */
export function RolloutGroup({ runId, group }: RolloutGroupProps) {
  const [first] = group;
  if (!first) {
    return null;
  }
  const isAlone = group.length === 1;
  const pictures = picturesOf(runId, first);
  return (
    <Card
      title={
        <span className="num">
          Step {first.step}
          <span className="font-normal text-muted">
            {" "}
            · {isAlone ? sizeText(first) : `${group.length} completions of one prompt`}
          </span>
        </span>
      }
      actions={isAlone ? <Badges record={first} /> : null}
    >
      <Scrolled label="Prompt" className="mb-2 max-h-20">
        <p className="whitespace-pre-wrap text-muted">
          <PicturedText text={first.prompt} pictures={pictures} />
        </p>
      </Scrolled>
      <BesidePictures pictures={pictures}>
        {group.map((record, place) => (
          <div key={record.index}>
            {isAlone ? null : (
              <p className="num mb-1 flex items-center gap-2 text-sm text-muted">
                Completion {place + 1} · {sizeText(record)} <Badges record={record} />
              </p>
            )}
            <TokenView id={`${record.step}-${record.index}`} tokens={tokensOf(record)} />
          </div>
        ))}
      </BesidePictures>
    </Card>
  );
}

function Badges({ record }: { record: RolloutRecord }) {
  return (
    <>
      {record.source === "teacher" ? <Badge>the teacher’s own</Badge> : null}
      {record.finish_reason === "length" ? <Badge tone="warn">truncated</Badge> : null}
    </>
  );
}

function sizeText(record: RolloutRecord): string {
  const parts = [
    `${record.token_ids.length} tokens`,
    divergenceText(meanDivergence(record)),
    rewardText(record.reward),
    advantageText(record.advantage),
  ];
  return parts.filter(Boolean).join(" · ");
}
