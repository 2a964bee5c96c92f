import type { RunDetail } from "@/api/types";
import { Card, Figure } from "@/components/card";
import { formatDuration, formatNumber, formatPercent } from "@/components/format";
import { intervalText, withInterval } from "@/components/interval";
import { bestNote, ChosenNote } from "@/features/run/report-card";

/** What learning from rewards is worth: how much more often the model is right. */
export function RewardReport({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const accuracy = run.metrics["eval_accuracy"];
  const sure = intervalText(accuracy?.last_interval, "share");
  const reward = run.metrics["reward"];
  const dead = run.metrics["dead_share"];
  const seconds = run.started && run.updated ? run.updated - run.started : null;
  const graded = run.metrics["eval_num_graded"]?.last;
  return (
    <Card title="Report card">
      <div className="grid grid-cols-2 gap-x-6 gap-y-4 md:grid-cols-4">
        <Figure
          label="Right on held-out prompts"
          value={accuracy ? formatPercent(accuracy.last) : "–"}
          unit={accuracy ? "%" : undefined}
          note={
            accuracy
              ? `${sure ? `(${sure}\u00a0%) ` : ""}from ${withInterval(formatPercent(accuracy.first), accuracy.first_interval, "share")} %, ${formatNumber(graded)} prompts`
              : "not measured yet"
          }
        />
        <Figure
          label="Mean reward"
          value={formatNumber(reward?.last)}
          note={reward ? `from ${formatNumber(reward.first)}` : "no step yet"}
        />
        <Figure
          label="Groups without a difference"
          value={dead ? formatPercent(dead.last) : "–"}
          unit={dead ? "%" : undefined}
          note={dead ? "of the last step's, from which nothing is learned" : undefined}
        />
        <Figure
          label="Best checkpoint"
          value={run.best_step || "–"}
          note={`${bestNote(run, "held-out accuracy")}; ${formatDuration(seconds)} at work`}
        />
      </div>
      <ChosenNote run={run} noun="prompts" />
    </Card>
  );
}
