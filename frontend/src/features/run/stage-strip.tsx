import { CircleCheck, CircleDashed, CircleDot } from "lucide-react";
import type { LiveRun } from "@/api/live-run";
import type { RunSummary } from "@/api/types";
import { Card } from "@/components/card";
import { formatDuration } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { useEvaluationOf } from "@/features/run/evaluation-of";
import type { RunFace } from "@/features/run/run-face";
import { phaseSecondsLeft, type Stage, stagesOf } from "@/features/run/stages";

const TITLES: Record<Stage["name"], string> = {
  generate: "Generate",
  train: "Train",
  evaluate: "Evaluate",
};

const ICONS: Record<Stage["state"], typeof CircleDot> = {
  done: CircleCheck,
  now: CircleDot,
  later: CircleDashed,
};

const WORDS: Record<Stage["state"], string> = { done: "done", now: "at work", later: "to come" };

interface StageStripProps {
  names: RunFace["stages"];
  run: RunSummary;
  live: LiveRun;
}

/** The stages of a run side by side: what is done, what is at work and for how long, what comes. */
export function StageStrip({ names, run, live }: StageStripProps) {
  const report = useEvaluationOf(run);
  const stages = stagesOf(names, run, live.phase, report.data?.variants.length ?? 0);
  return (
    <Card>
      <ol className="grid gap-x-6 gap-y-3 sm:grid-cols-3">
        {stages.map((stage) => {
          const Icon = ICONS[stage.state];
          return (
            <li key={stage.name} aria-current={stage.state === "now" ? "step" : undefined}>
              <p className="flex items-center gap-2">
                <Icon
                  className={`size-4 ${stage.state === "done" ? "text-good" : stage.state === "now" ? "text-accent" : "text-faint"}`}
                  aria-hidden
                />
                <span className={stage.state === "later" ? "text-muted" : "font-medium"}>
                  {TITLES[stage.name]}
                </span>
                <span className="ml-auto text-muted">{WORDS[stage.state]}</span>
              </p>
              <ProgressBar
                label={TITLES[stage.name]}
                share={stage.share ?? 0}
                tone={stage.state === "done" ? "good" : "accent"}
                className="mt-1.5"
              />
              <p className="num mt-1 text-sm text-muted">
                {stage.note}
                {stage.state === "now" ? leftOf(stage, run, live) : ""}
              </p>
            </li>
          );
        })}
      </ol>
    </Card>
  );
}

function leftOf(stage: Stage, run: RunSummary, live: LiveRun): string {
  const seconds = stage.name === "train" ? run.eta_seconds : phaseSecondsLeft(live);
  return seconds === null ? "" : `${stage.note ? ", " : ""}about ${formatDuration(seconds)} left`;
}
