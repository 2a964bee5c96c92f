import type { RunDetail } from "@/api/types";
import { formatNumber } from "@/components/format";
import { isMeasuredAgain, measuredOnce, wayMoved, wayText } from "@/features/run/report-card";
import { type Measured, ReportFigures } from "@/features/run/report-figures";

/** What fine-tuning is worth: how far the loss on held-out conversations fell. */
export function LossReport({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const loss = run.metrics["loss"];
  return (
    <ReportFigures
      detail={detail}
      measure="held-out loss"
      noun="conversations"
      figures={[
        heldOut(detail),
        loss
          ? {
              label: "Training loss",
              value: formatNumber(loss.last),
              unit: "nats/token",
              note: `from ${formatNumber(loss.first)}`,
            }
          : null,
      ]}
    />
  );
}

function heldOut({ run }: RunDetail): Measured {
  const held = run.metrics["eval_loss"];
  if (!held) {
    return null;
  }
  return isMeasuredAgain(held)
    ? {
        ...wayMoved("Held-out loss", held),
        note: wayText(held),
      }
    : measuredOnce("Held-out loss", held);
}
