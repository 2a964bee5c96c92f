import type { RunDetail } from "@/api/types";
import { Card, Figure } from "@/components/card";
import { formatDuration, formatNumber, formatPercent } from "@/components/format";
import { withInterval } from "@/components/interval";
import { bestNote, ChosenNote, wayText } from "@/features/run/report-card";

/** What fine-tuning is worth: how far the loss on held-out conversations fell. */
export function LossReport({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const held = run.metrics["eval_loss"];
  const loss = run.metrics["loss"];
  const seconds = run.started && run.updated ? run.updated - run.started : null;
  const tokens = run.metrics["tokens_per_second"]?.last;
  const isAgain = held !== undefined && held.minimum !== held.maximum && held.first > 0;
  return (
    <Card title="Report card">
      <div className="grid grid-cols-2 gap-x-6 gap-y-4 md:grid-cols-4">
        <Figure
          label="Held-out loss fell by"
          value={isAgain ? formatPercent(1 - held.last / held.first) : "–"}
          unit={isAgain ? "%" : undefined}
          note={
            held === undefined
              ? "nothing was held out"
              : isAgain
                ? wayText(held)
                : `${withInterval(formatNumber(held.last), held.last_interval)} nats/token, measured once`
          }
        />
        <Figure
          label="Training loss"
          value={formatNumber(loss?.last)}
          unit={loss ? "nats/token" : undefined}
          note={loss ? `from ${formatNumber(loss.first)}` : "no step yet"}
        />
        <Figure
          label="Best checkpoint"
          value={run.best_step || "–"}
          note={bestNote(run, "held-out loss")}
        />
        <Figure
          label="Time at work"
          value={formatDuration(seconds)}
          note={tokens === undefined ? undefined : `${formatNumber(tokens, 3)} tok/s at the end`}
        />
      </div>
      <ChosenNote run={run} noun="conversations" />
    </Card>
  );
}
