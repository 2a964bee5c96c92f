import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pause, Play } from "lucide-react";
import { useState } from "react";
import { rolloutAt } from "@/api/files";
import type { LiveRun } from "@/api/live-run";
import type { EventOf, RolloutRecord } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Thumbnail } from "@/components/picture";
import { isPicture, placeInText } from "@/components/picture-places";
import { picturesOf } from "@/features/run/rollout-pictures";
import { divergenceText, rewardText, tintOf, tokensOf, visibleText } from "@/features/run/tokens";

const SHOWN = 6;

/** The newest rollouts as they come; holding stops the stream, not the run. */
export function RolloutStream({ runId, live }: { runId: string; live: LiveRun }) {
  const [held, setHeld] = useState<readonly EventOf<"rollout_sampled">[] | null>(null);
  const rollouts = (held ?? live.rollouts.slice(-SHOWN)).toReversed();
  return (
    <Card
      title="Newest rollouts"
      flush
      actions={
        <>
          <Button
            size="sm"
            look="quiet"
            icon={held ? <Play aria-hidden /> : <Pause aria-hidden />}
            onClick={() => setHeld(held ? null : live.rollouts.slice(-SHOWN))}
          >
            {held ? "Follow" : "Hold"}
          </Button>
          <Link
            to="/runs/$runId"
            params={{ runId }}
            search={{ tab: "rollouts" }}
            className="px-1 text-sm text-accent hover:underline"
          >
            Show all
          </Link>
        </>
      }
    >
      {rollouts.length === 0 ? (
        <p className="p-3 text-muted">None yet: they come with the first step.</p>
      ) : (
        <section
          aria-label="Newest rollouts"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
          tabIndex={0}
          className="max-h-80 overflow-y-auto"
        >
          <ul className="divide-y">
            {rollouts.map((rollout) => (
              <Sampled key={rollout.seq} runId={runId} rollout={rollout} />
            ))}
          </ul>
        </section>
      )}
    </Card>
  );
}

interface SampledProps {
  runId: string;
  rollout: EventOf<"rollout_sampled">;
}

/** A rollout in a few lines, with what its prompt shows first. */
function Sampled({ runId, rollout }: SampledProps) {
  const record = useQuery(rolloutAt(runId, rollout.offset)).data;
  const pictures = record ? picturesOf(runId, record) : [];
  const words = placeInText(rollout.prompt, pictures.length).filter((each) => !isPicture(each));
  return (
    <li className="flex gap-3 px-3 py-2">
      {pictures[0] ? (
        <Thumbnail picture={pictures[0]} className="size-12 shrink-0 rounded-sm border" />
      ) : null}
      <div className="min-w-0 grow">
        <p className="num label flex justify-between gap-2">
          <span className="truncate">{words.join("")}</span>
          <span className="shrink-0">
            {[
              `step ${rollout.step}`,
              divergenceText(rollout.mean_divergence),
              rewardText(rollout.reward),
            ]
              .filter(Boolean)
              .join(" · ")}
          </span>
        </p>
        <TintedCompletion completion={rollout.completion} record={record} />
      </div>
    </li>
  );
}

interface TintedCompletionProps {
  completion: string;
  record: RolloutRecord | undefined;
}

/** The text at once; the tints when the record has come. */
function TintedCompletion({ completion, record }: TintedCompletionProps) {
  return (
    <p className="line-clamp-3 break-words whitespace-pre-wrap">
      {record
        ? tokensOf(record).map((token, index) => (
            <span
              // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
              key={index}
              className="rounded-[2px]"
              style={{
                background: `color-mix(in oklab, var(--color-bad) ${Math.round(tintOf(token.divergence) * 45)}%, transparent)`,
              }}
            >
              {visibleText(token.text)}
            </span>
          ))
        : completion}
    </p>
  );
}
