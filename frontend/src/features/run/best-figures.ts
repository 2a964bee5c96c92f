/** Held-out figures of the checkpoint that is exported, in the place of those of the last step. */
import { useQueries } from "@tanstack/react-query";
import { metricHistory } from "@/api/metrics";
import type { MetricHistory, MetricSummary, RunSummary } from "@/api/types";

/** A metric as it was at a step; as it is where it was not measured there. */
export function summaryAt(
  summary: MetricSummary,
  history: MetricHistory | null | undefined,
  step: number,
): MetricSummary {
  const place = history?.step.indexOf(step) ?? -1;
  const value = history?.mean[place];
  // A bucket of several evaluations tells their mean, which none of them need have been.
  if (value === undefined || history?.bucket !== 1) {
    return summary;
  }
  const low = history.low[place];
  const high = history.high[place];
  const sure = low !== undefined && high !== undefined;
  return { ...summary, last: value, last_interval: sure ? { low, high } : null };
}

const ONE_POINT_PX = 10;

/** The run with its held-out figures at the best step; unchanged where no step is better than the start. */
export function useRunAtBest(run: RunSummary): RunSummary {
  const step = run.best_step;
  const keys = step ? Object.keys(run.metrics).filter((key) => key.startsWith("eval_")) : [];
  const results = useQueries({
    queries: keys.map((key) =>
      metricHistory(run.run_id, key, step === null ? null : [step, step], ONE_POINT_PX),
    ),
  });
  if (!step) {
    return run;
  }
  const atBest = keys.flatMap((key, place) => {
    const summary = run.metrics[key];
    return summary ? [[key, summaryAt(summary, results[place]?.data, step)] as const] : [];
  });
  return { ...run, metrics: { ...run.metrics, ...Object.fromEntries(atBest) } };
}
