import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { models } from "@/api/models";
import { describeError } from "@/api/problem";
import { PREVIEW_LINES, setLint, setPreview } from "@/api/prompt-sets";
import type { LintReport, PromptSet } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount } from "@/components/format";
import { Select } from "@/components/select";
import { ErrorState, SkeletonRows } from "@/components/states";
import { ConvertSet } from "@/features/data/convert-set";
import { LintView } from "@/features/data/lint-view";
import { PreviewLines } from "@/features/data/preview-lines";
import { SetFacts } from "@/features/data/set-facts";
import { setName } from "@/features/data/set-name";

const NONE = "none";
const NAMES: Record<PromptSet["kind"], { noun: string; answered: string }> = {
  prompts: { noun: "Prompts", answered: "With answers" },
  conversations: { noun: "Conversations", answered: "With answers" },
  inputs: { noun: "Inputs", answered: "With labels" },
  text: { noun: "Lines", answered: "With answers" },
};

interface SetDetailProps {
  set: PromptSet;
  others: readonly PromptSet[];
  onSet: (set: PromptSet) => void;
}

/** A file line by line: what the linter says, how long the prompts are, how a model sees them. */
export function SetDetail({ set, others, onSet }: SetDetailProps) {
  const [against, setAgainst] = useState(NONE);
  const [model, setModel] = useState(NONE);
  const local = (useQuery(models()).data?.local ?? []).filter((each) => each.is_complete);
  const orNull = (value: string) => (value === NONE ? null : value);
  const lint = useQuery(setLint(set.id, orNull(against), orNull(model)));
  return (
    <div className="flex min-w-0 flex-col gap-3">
      <Card
        title="Line by line"
        actions={
          <>
            <Select
              label="Compare with another set"
              value={against}
              onChange={setAgainst}
              choices={[
                { value: NONE, label: "No leakage check" },
                ...others
                  .filter((other) => other.id !== set.id)
                  .map((other) => ({
                    value: other.id,
                    label: `Against ${setName(other, others)}`,
                  })),
              ]}
              size="sm"
              className="max-w-56"
            />
            <Select
              label="Measure with a model's tokens"
              value={model}
              onChange={setModel}
              choices={[
                { value: NONE, label: "In characters" },
                ...local.map((each) => ({ value: each.name, label: `Tokens of ${each.name}` })),
              ]}
              size="sm"
              className="max-w-56"
            />
          </>
        }
      >
        <SetFacts set={set} all={others} />
        {lint.isPending ? (
          <SkeletonRows count={4} />
        ) : lint.data ? (
          <div className="flex flex-col gap-4">
            <LintView
              report={lint.data}
              {...NAMES[set.kind]}
              {...(against === NONE ? {} : { overlap: "Also in the other set" })}
            />
            <Lengths lengths={lint.data.lengths} />
          </div>
        ) : (
          <ErrorState
            title={describeError(lint.error).title}
            reason={describeError(lint.error).reason}
            retry={() => void lint.refetch()}
          />
        )}
      </Card>
      <ConvertSet set={set} onSet={onSet} />
      <Preview setId={set.id} model={orNull(model)} />
    </div>
  );
}

function Lengths({ lengths }: { lengths: LintReport["lengths"] }) {
  const bins = lengths.bins ?? [];
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  if (bins.length === 0) {
    return null;
  }
  return (
    <div>
      <h3 className="mb-1 font-medium">
        Lengths <span className="font-normal text-faint">{lengths.unit}</span>
      </h3>
      {bins.length > 1 ? (
        <div
          role="img"
          aria-label={`Lengths in ${lengths.unit}: median ${lengths.median}, longest ${lengths.longest}`}
          className="flex h-20 items-end gap-px border-b"
        >
          {bins.map((bin) => (
            <div
              key={bin.low}
              title={`${bin.low} to ${bin.high}: ${bin.count}`}
              className="min-w-1 grow rounded-t-[2px] bg-accent"
              style={{ height: `${(bin.count / most) * 100}%` }}
            />
          ))}
        </div>
      ) : null}
      <p className="num mt-1 text-sm text-muted">
        median {formatCount(lengths.median ?? 0)}, 95 of 100 up to {formatCount(lengths.p95 ?? 0)},
        longest {formatCount(lengths.longest ?? 0)}
      </p>
    </div>
  );
}

function Preview({ setId, model }: { setId: string; model: string | null }) {
  const [page, setPage] = useState(0);
  const preview = useQuery(setPreview(setId, model, page));
  return (
    <Card
      title="Preview"
      flush
      actions={
        <>
          <Button size="sm" disabled={page === 0} onClick={() => setPage(page - 1)}>
            Back
          </Button>
          <Button size="sm" disabled={!preview.data?.has_more} onClick={() => setPage(page + 1)}>
            Next {PREVIEW_LINES}
          </Button>
        </>
      }
    >
      {preview.isPending ? (
        <SkeletonRows />
      ) : preview.data ? (
        <PreviewLines setId={setId} items={preview.data.items} />
      ) : (
        <ErrorState
          title={describeError(preview.error).title}
          reason={describeError(preview.error).reason}
          retry={() => void preview.refetch()}
        />
      )}
    </Card>
  );
}
