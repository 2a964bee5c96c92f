import clsx from "clsx";
import type { LiveRun } from "@/api/live-run";
import type { KindFacts, RunSummary } from "@/api/types";
import { Card, Figure } from "@/components/card";
import { formatDuration, formatNumber } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { phaseSecondsLeft } from "@/features/run/stages";

interface LiveStripProps {
  facts: KindFacts | null;
  run: RunSummary;
  live: LiveRun;
}

/** What a run at work does now: phase, step, time left, speed, memory as far as it is measured. */
export function LiveStrip({ facts, run, live }: LiveStripProps) {
  const phase = live.phase?.phase ?? run.phase;
  const title = facts?.phases.find((each) => each.phase === phase)?.title ?? phase;
  const share = run.num_steps ? run.step / run.num_steps : 0;
  const done = live.phase?.done;
  const total = live.phase?.total;
  const inPhase = done !== null && done !== undefined && total ? ` ${done} of ${total}` : "";
  const detail = `${live.phase?.detail ?? run.phase_detail}${inPhase}`;
  return (
    <Card>
      <div
        className={clsx(
          "grid grid-cols-3 gap-x-6 gap-y-3",
          live.steps.length > 0 && "xl:grid-cols-6",
        )}
      >
        <Figure
          label="Phase"
          value={title ?? run.state}
          note={
            <span className="line-clamp-2" dir="auto" title={detail}>
              {detail}
            </span>
          }
        />
        <Figure
          label={run.method === "evaluation" ? "Variant" : "Step"}
          value={run.step}
          unit={run.num_steps ? `of ${run.num_steps}` : undefined}
          note={`${(share * 100).toFixed(1)} %`}
        />
        <TimeLeft run={run} live={live} />
        <Measured live={live} />
      </div>
      <ProgressBar label="Progress" share={share} className="mt-3" />
    </Card>
  );
}

const NOTES = {
  measured: "from its own steps and evaluations",
  forecast: "by forecast, until three steps are measured",
};

/** Of the steps once there are some; before that, of a phase that counts. */
function TimeLeft({ run, live }: { run: RunSummary; live: LiveRun }) {
  if (run.eta_seconds === null) {
    const seconds = phaseSecondsLeft(live);
    return (
      <Figure
        label="Time left"
        value={seconds === null ? "–" : rangeOf(seconds)}
        note={seconds === null ? "known after a few steps" : "of this phase, at its rate"}
      />
    );
  }
  return (
    <Figure
      label="Time left"
      value={rangeOf(run.eta_seconds)}
      note={NOTES[run.eta_source ?? "measured"]}
    />
  );
}

/** The estimate as a range of ten percent each way: steps differ in length. */
function rangeOf(seconds: number): string {
  const low = formatDuration(seconds * 0.9);
  const high = formatDuration(seconds * 1.1);
  return low === high ? low : `${low} – ${high}`;
}

/** What the last step measured; before the first there is nothing to show. */
function Measured({ live }: { live: LiveRun }) {
  const last = live.steps.at(-1)?.metrics;
  if (!last) {
    return null;
  }
  return (
    <>
      <Figure
        label="Speed"
        value={formatNumber(last["tokens_per_second"], 3)}
        unit="tok/s"
        note={`${formatNumber(last["step_seconds"], 3)} s a step`}
      />
      <Figure
        label="Peak memory"
        value={formatNumber(last["peak_memory_gb"], 3)}
        unit="GB"
        note={`${formatNumber(last["active_memory_gb"], 3)} GB active`}
      />
      <Figure
        label="Process"
        value={formatNumber(last["process_memory_gb"], 3)}
        unit="GB"
        note={`${formatNumber(last["cache_memory_gb"], 3)} GB buffer cache`}
      />
    </>
  );
}
