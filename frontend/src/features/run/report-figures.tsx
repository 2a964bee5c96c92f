import type { RunDetail, RunSummary } from "@/api/types";
import { Card, Figure, type FigureProps } from "@/components/card";
import { formatDuration, formatNumber } from "@/components/format";
import { isAtWork } from "@/features/runs/run-state";

/** A figure that was measured; null where it was not, and then nothing stands for it. */
export type Measured = FigureProps | null;

interface ReportFiguresProps {
  detail: RunDetail;
  figures: readonly Measured[];
  /** What the best checkpoint is the best in, and of what. */
  measure: string;
  noun: string;
  children?: React.ReactNode;
}

/** A report card of what was measured; without a single figure there is no card. */
export function ReportFigures(props: ReportFiguresProps) {
  const { run } = props.detail;
  const measured = props.figures.filter((figure) => figure !== null);
  if (measured.length === 0) {
    return null;
  }
  return (
    <Card title="Report card">
      <div className="grid grid-cols-2 gap-x-6 gap-y-4 md:grid-cols-3 lg:grid-cols-5">
        {[...measured, bestFigure(run, props.measure), timeFigure(props.detail)].map((figure) =>
          figure ? <Figure key={figure.label} {...figure} /> : null,
        )}
      </div>
      {props.children}
      <ChosenNote run={run} measure={props.measure} noun={props.noun} />
    </Card>
  );
}

function bestFigure(run: RunSummary, measure: string): Measured {
  return run.best_step
    ? {
        label: "Best checkpoint",
        value: run.best_step,
        note: `nothing beats its ${measure} beyond chance`,
      }
    : null;
}

function timeFigure({ run, time_split: parts }: RunDetail): Measured {
  const seconds = (parts ?? []).reduce((sum, part) => sum + part.seconds, 0);
  const tokens = run.metrics["tokens_per_second"]?.last;
  return seconds > 0
    ? {
        label: "Time at work",
        value: formatDuration(seconds),
        note:
          tokens === undefined
            ? undefined
            : `${formatNumber(tokens, 3)} tok/s ${isAtWork(run.state) ? "in the last step" : "at the end"}`,
      }
    : null;
}

interface ChosenNoteProps {
  run: RunSummary;
  measure: string;
  noun: string;
}

/** Of which step held-out figures are, over what the intervals, and what the best owes to its choice. */
function ChosenNote({ run, measure, noun }: ChosenNoteProps) {
  const parts = [whichStep(run, measure)];
  if ((run.num_held_out ?? 0) > 1) {
    parts.push(`In brackets: 95\u00a0% intervals over ${run.num_held_out} held-out ${noun}.`);
    if (run.best_step) {
      parts.push(
        `The best checkpoint was chosen on these same ${noun}, so its own figures flatter it a little.`,
      );
    }
  }
  const text = parts.filter(Boolean).join(" ");
  return text ? <p className="mt-3 border-t pt-2 text-sm text-muted">{text}</p> : null;
}

/** What is exported is what is headlined; step 0 is before anything was learned. */
export function whichStep(run: RunSummary, measure: string): string {
  if (run.best_step) {
    return `Held-out figures are those of step ${run.headline_step}, the best checkpoint, which Export takes.`;
  }
  return run.best_step === 0 && run.headline_step && !isAtWork(run.state)
    ? `No later evaluation was as good as the start in ${measure}: Export takes the last checkpoint, and held-out figures are those of step ${run.headline_step}.`
    : "";
}
