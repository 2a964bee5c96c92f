import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { describeError } from "@/api/problem";
import { COMPLETIONS_PER_PAGE, sameCompletions } from "@/api/runs";
import type { RunSummary, SamePrompt } from "@/api/types";
import { roleColor } from "@/charts/colors";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { PicturedText } from "@/components/pictured-text";
import { Scrolled } from "@/components/scrolled";
import { ErrorState, SkeletonRows } from "@/components/states";
import { picturesOf } from "@/features/run/rollout-pictures";
import { divergenceText } from "@/features/run/tokens";

/** What the runs' students said last to the same prompts, side by side. */
export function SamePrompts({ runs }: { runs: readonly RunSummary[] }) {
  const [page, setPage] = useState(0);
  const query = useQuery({
    ...sameCompletions(
      runs.map((run) => run.run_id),
      page,
    ),
    placeholderData: keepPreviousData,
  });
  const total = query.data?.total ?? 0;
  const pages = Math.max(1, Math.ceil(total / COMPLETIONS_PER_PAGE));
  return (
    <Card
      title="The same prompts"
      flush
      actions={
        total > COMPLETIONS_PER_PAGE ? (
          <>
            <span className="num px-1 text-sm text-muted">
              {total} prompts, page {page + 1} of {pages}
            </span>
            <Button size="sm" disabled={page === 0} onClick={() => setPage(page - 1)}>
              Back
            </Button>
            <Button size="sm" disabled={page + 1 >= pages} onClick={() => setPage(page + 1)}>
              Next
            </Button>
          </>
        ) : null
      }
    >
      {query.isPending ? (
        <SkeletonRows count={4} />
      ) : !query.data ? (
        <ErrorState
          title={describeError(query.error).title}
          reason={describeError(query.error).reason}
          retry={() => void query.refetch()}
        />
      ) : total === 0 ? (
        <p className="p-3 text-muted">
          No prompt was sampled by two of these runs. Runs on the same training file meet after
          enough steps.
        </p>
      ) : (
        <ul className="divide-y">
          <li className="px-3 py-2 text-sm text-muted">
            Each run's newest sample of a prompt; look at the steps before you judge the students.
          </li>
          {query.data.prompts.map((each) => (
            <PromptRow
              key={[each.prompt, ...(each.pictures ?? [])].join(" ")}
              same={each}
              runs={runs}
            />
          ))}
        </ul>
      )}
      {query.data && !query.data.is_complete ? (
        <p className="border-t px-3 py-2 text-sm text-muted">
          Only the newest rollouts of long runs were looked at.
        </p>
      ) : null}
    </Card>
  );
}

function PromptRow({ same, runs }: { same: SamePrompt; runs: readonly RunSummary[] }) {
  // Any run that was shown a picture has a copy of it.
  const seeing = runs.find((_, place) => (same.completions[place] ?? []).length > 0);
  const pictures = picturesOf(seeing?.run_id ?? "", same);
  return (
    <li className="px-3 py-2">
      <p className="mb-2 line-clamp-3 font-medium whitespace-pre-wrap" title={same.prompt}>
        <PicturedText text={same.prompt} pictures={pictures} />
      </p>
      <div className="grid grid-cols-[repeat(auto-fit,minmax(220px,1fr))] gap-3">
        {runs.map((run, place) => (
          <Completions
            key={run.run_id}
            name={run.name}
            color={roleColor(place)}
            completions={same.completions[place] ?? []}
          />
        ))}
      </div>
    </li>
  );
}

interface CompletionsProps {
  name: string;
  color: string;
  completions: SamePrompt["completions"][number];
}

/** What a run said to a prompt: once, or as often as its newest step sampled it. */
function Completions({ name, color, completions }: CompletionsProps) {
  return (
    <div className="flex min-w-0 flex-col gap-2 border-l-2 pl-2" style={{ borderColor: color }}>
      <p className="truncate text-sm text-muted" title={name}>
        {name}
      </p>
      {completions.map((completion) => (
        <div key={completion.offset}>
          <p className="num text-right text-sm text-muted">{sizeText(completion)}</p>
          <Scrolled label="Completion" className="max-h-40">
            <p className="break-words whitespace-pre-wrap">
              {completion.text || <span className="text-faint">It printed nothing</span>}{" "}
              {completion.finish_reason === "length" ? <Badge tone="warn">truncated</Badge> : null}
            </p>
          </Scrolled>
        </div>
      ))}
      {completions.length === 0 ? <p className="text-faint">Did not sample this prompt</p> : null}
    </div>
  );
}

function sizeText(completion: CompletionsProps["completions"][number]): string {
  const { step, num_tokens, mean_divergence } = completion;
  const parts = [`step ${step}`, `${num_tokens} tokens`, divergenceText(mean_divergence)];
  return parts.filter(Boolean).join(" · ");
}
