import { useQuery } from "@tanstack/react-query";
import { runPlan } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { Plan } from "@/api/types";
import { useWorkspace } from "@/api/workspace";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card, Figure } from "@/components/card";
import { formatCount, formatDuration, formatNumber } from "@/components/format";
import { ErrorState, Notice, Skeleton } from "@/components/states";
import { useDraft } from "@/features/new-run/draft";
import { isWrongConfig } from "@/features/new-run/field-errors";
import { MemoryBars } from "@/features/new-run/memory-bars";
import { useMethod } from "@/features/new-run/methods";
import { useRested } from "@/features/new-run/use-rested";
import { WhatIf } from "@/features/new-run/what-if";
import { WrongElsewhere } from "@/features/new-run/wrong-elsewhere";

const VERDICTS = {
  fits: { tone: "good", label: "Fits" },
  tight: { tone: "warn", label: "Fits, but it is tight" },
  does_not_fit: { tone: "bad", label: "Does not fit" },
} as const;

/** Memory of both models by part, and time; what-if sliders beside it. */
export function BudgetStep() {
  const config = useRested(useDraft((draft) => draft.config));
  const plan = useQuery(runPlan(config, null));
  return (
    <div className="grid items-start gap-3 lg:grid-cols-[minmax(0,1fr)_300px] xl:grid-cols-[minmax(0,1fr)_360px]">
      {plan.isPending ? (
        <Skeleton className="h-80" />
      ) : plan.data ? (
        <Forecast plan={plan.data} error={plan.error} />
      ) : isWrongConfig(plan.error) ? (
        <WrongElsewhere>Memory and time are known once these settings are right</WrongElsewhere>
      ) : (
        <Card>
          <ErrorState
            title={describeError(plan.error).title}
            reason={describeError(plan.error).reason}
            retry={() => void plan.refetch()}
          />
        </Card>
      )}
      <WhatIf />
    </div>
  );
}

function Forecast({ plan, error }: { plan: Plan; error: Error | null }) {
  const disk = useWorkspace((workspace) => workspace.system?.disk_free_gb);
  const verdict = VERDICTS[plan.verdict];
  return (
    <div className="flex min-w-0 flex-col gap-3">
      {error ? (
        <Notice tone="bad" title={describeError(error).title}>
          The forecast below is of the last settings that are valid.
        </Notice>
      ) : null}
      <Card title="Memory" actions={<Badge tone={verdict.tone}>{verdict.label}</Badge>}>
        <MemoryBars plan={plan} />
      </Card>
      <Card title="Time and disk">
        <div className="grid grid-cols-[repeat(auto-fit,minmax(128px,1fr))] gap-x-6 gap-y-4">
          <Figure
            label="The whole run"
            value={formatDuration(plan.seconds)}
            note={`${formatDuration(plan.seconds_low)} to ${formatDuration(plan.seconds_high)}`}
          />
          <Figure
            label="A step"
            value={formatDuration(plan.step.total)}
            note={`${formatCount(plan.num_steps)} steps${paceOf(plan)}`}
          />
          <TimeSplit plan={plan} />
          <Figure label="Evaluations" value={plan.num_evaluations} note="on held-out data" />
          <Figure label="Free on the disk" value={formatNumber(disk, 3)} unit="GB" />
        </div>
      </Card>
      <Advice plan={plan} />
      <Assumptions plan={plan} />
    </div>
  );
}

/** Steps a minute, where that is a number one can read. */
function paceOf({ step: { steps_per_minute: pace } }: Plan): string {
  return pace >= 0.1 ? `, ${formatNumber(pace, 3)} a minute` : "";
}

const STAGES: Readonly<Record<string, string>> = {
  generating: "Teacher's answers",
  evaluating: "Final evaluation",
};

/** Where the time goes: phases of a step, and stages in which models only answer. */
function TimeSplit({ plan }: { plan: Plan }) {
  const { sampling, scoring, learning } = plan.step;
  return (
    <>
      {sampling > 0 ? (
        <Figure
          label="Of it sampling"
          value={formatDuration(sampling)}
          note={`scoring ${formatDuration(scoring)}, learning ${formatDuration(learning)}`}
        />
      ) : null}
      {(plan.stages ?? []).map((stage) => (
        <Figure
          key={stage.name}
          label={STAGES[stage.name] ?? stage.name}
          value={formatDuration(stage.seconds)}
          note={`${formatCount(stage.num_answers)} answers`}
        />
      ))}
    </>
  );
}

function Advice({ plan }: { plan: Plan }) {
  const set = useDraft((draft) => draft.set);
  const { block } = useMethod();
  return (
    <>
      {plan.warnings.map((warning) => (
        <Notice key={warning} tone="warn" title={warning} />
      ))}
      {plan.advice.map((advice) => (
        <Notice
          key={advice.message}
          tone="neutral"
          title={advice.message}
          action={
            <Button
              size="sm"
              onClick={() => {
                for (const [key, value] of Object.entries(advice.changes)) {
                  set(`${block}.${key}`, value);
                }
              }}
            >
              Apply
            </Button>
          }
        >
          <span className="num">
            {VERDICTS[advice.verdict].label} then: {formatNumber(advice.needed_gb, 3)} GB,{" "}
            {formatDuration(advice.step_seconds)} a step.
          </span>
        </Notice>
      ))}
    </>
  );
}

function Assumptions({ plan }: { plan: Plan }) {
  return (
    <details className="rounded-lg border bg-surface px-3 py-2 text-muted">
      <summary>What this forecast assumes</summary>
      <ul className="mt-2 list-disc pl-5">
        <li>
          {plan.chip} with {formatNumber(plan.memory_gb)} GB
        </li>
        {plan.assumptions.map((assumption) => (
          <li key={assumption}>{assumption}</li>
        ))}
      </ul>
    </details>
  );
}
