import type { RunDetail, RunSummary } from "@/api/types";
import { formatNumber, formatPercent } from "@/components/format";
import { intervalText, withInterval } from "@/components/interval";
import { type Measured, ReportFigures } from "@/features/run/report-figures";

/** What learning from rewards is worth: how much more often the model is right. */
export function RewardReport({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const reward = run.metrics["reward"];
  const dead = run.metrics["dead_share"];
  return (
    <ReportFigures
      detail={detail}
      measure="held-out accuracy"
      noun="prompts"
      figures={[
        rightFigure(run),
        reward
          ? {
              label: "Mean reward",
              value: formatNumber(reward.last),
              note: `from ${formatNumber(reward.first)}`,
            }
          : null,
        dead
          ? {
              label: "Groups without a difference",
              value: formatPercent(dead.last),
              unit: "%",
              note: "of the last step's, from which nothing is learned",
            }
          : null,
      ]}
    />
  );
}

function rightFigure(run: RunSummary): Measured {
  const accuracy = run.metrics["eval_accuracy"];
  if (!accuracy) {
    return null;
  }
  const sure = intervalText(accuracy.after_interval, "share");
  const graded = run.metrics["eval_num_graded"]?.after;
  const from = withInterval(formatPercent(accuracy.first), accuracy.first_interval, "share");
  return {
    label: "Right on held-out prompts",
    value: formatPercent(accuracy.after),
    unit: "%",
    note: `${sure ? `(${sure}\u00a0%) ` : ""}from ${from}\u00a0%, ${formatNumber(graded)} prompts`,
  };
}
