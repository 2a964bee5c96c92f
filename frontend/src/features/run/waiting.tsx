import clsx from "clsx";
import { CircleCheck, CircleDashed, CircleDot } from "lucide-react";
import { useEffect, useState } from "react";
import type { LiveRun } from "@/api/live-run";
import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { formatDuration } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { phaseSecondsLeft } from "@/features/run/stages";
import { waitOf } from "@/features/run/wait";

const TICK_MS = 1000;

/** Before the first step: what is done, what it does now and for how long, what comes. */
export function Waiting({ detail, live }: { detail: RunDetail; live: LiveRun }) {
  const now = useSeconds();
  const wait = waitOf(detail, live, now);
  return (
    <Card title="Before the first step">
      <ol className="flex flex-col gap-2">
        {wait.phases.map((phase) => {
          const Icon =
            phase.state === "done" ? CircleCheck : phase.state === "now" ? CircleDot : CircleDashed;
          return (
            <li
              key={phase.phase}
              aria-current={phase.state === "now" ? "step" : undefined}
              className="flex items-start gap-2"
            >
              <Icon
                aria-hidden
                className={clsx("mt-0.5 size-4 shrink-0", {
                  "text-good": phase.state === "done",
                  "text-accent": phase.state === "now",
                  "text-faint": phase.state === "later",
                })}
              />
              <span className={clsx("min-w-0 grow", phase.state === "later" && "text-muted")}>
                {phase.title}
                {phase.state === "now" ? <Doing live={live} detail={detail} /> : null}
              </span>
            </li>
          );
        })}
      </ol>
      <p className="num mt-3 border-t pt-2 text-muted">{wait.text}</p>
    </Card>
  );
}

/** What the phase at work does, and how far it is where it can be counted. */
function Doing({ detail, live }: { detail: RunDetail; live: LiveRun }) {
  const { phase } = live;
  const words = phase?.detail ?? detail.run.phase_detail;
  const left = phaseSecondsLeft(live);
  return (
    <>
      {words ? (
        <span className="block text-sm text-muted" dir="auto">
          {words}
        </span>
      ) : null}
      {phase?.total ? (
        <>
          <ProgressBar
            label={`${words || "This phase"} so far`}
            share={(phase.done ?? 0) / phase.total}
            className="mt-1 max-w-md"
          />
          <span className="num block text-sm text-muted">
            {phase.done ?? 0} of {phase.total}
            {left === null ? "" : `, about ${formatDuration(left)} left`}
          </span>
        </>
      ) : null}
    </>
  );
}

/** The clock in Unix seconds, once a second while the page is seen. */
function useSeconds(): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) {
        setNow(Date.now() / 1000);
      }
    }, TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
