import type { LiveRun } from "@/api/live-run";
import type { RunDetail } from "@/api/types";
import { Alarms, LatestAlarm } from "@/features/run/alarms";
import { AnswersReport } from "@/features/run/answers-report";
import { useRunAtBest } from "@/features/run/best-figures";
import { Ending } from "@/features/run/ending";
import { LearningCharts } from "@/features/run/learning-charts";
import { LiveStrip } from "@/features/run/live-strip";
import { LossReport } from "@/features/run/loss-report";
import { Notes } from "@/features/run/notes";
import { ReportCard } from "@/features/run/report-card";
import { RewardReport } from "@/features/run/reward-report";
import { RolloutStream } from "@/features/run/rollout-stream";
import { faceOf, type RunFace } from "@/features/run/run-face";
import { SightReport } from "@/features/run/sight-report";
import { StageStrip } from "@/features/run/stage-strip";
import { TeacherTable } from "@/features/run/teacher-figures";
import { TimeSplit } from "@/features/run/time-split";
import { isAtWork } from "@/features/runs/run-state";

interface OverviewProps {
  detail: RunDetail;
  live: LiveRun;
}

/** What a run's method has to show, at work or long done. */
export function Overview({ detail, live }: OverviewProps) {
  const { run } = detail;
  const face = faceOf(detail);
  const atWork = isAtWork(run.state);
  const shown = live.run ?? run;
  const latest = live.steps.at(-1)?.metrics ?? {};
  // What comes before the first step has no curves, and its stages say how far it is.
  const hasBegun = face.stages.length === 0 || shown.step > 0 || !atWork;
  const hasRollouts = face.tabs.includes("rollouts");
  const beside = (
    <>
      {face.main && hasBegun ? <TimeSplit run={run} latest={latest} /> : null}
      <Alarms runId={run.run_id} alarms={live.alarms} />
      <Notes key={run.run_id} run={run} />
    </>
  );
  return (
    <div className="flex flex-col gap-3 p-4">
      <Ending detail={detail} />
      {face.stages.length > 0 ? <StageStrip names={face.stages} run={shown} live={live} /> : null}
      {atWork ? <LiveStrip facts={detail.facts} run={shown} live={live} /> : null}
      {atWork ? <LatestAlarm alarms={live.alarms} /> : null}
      <Report face={face} detail={detail} />
      <TeacherTable detail={detail} live={live} />
      {face.main && hasBegun ? (
        <LearningCharts face={face} main={face.main} detail={detail} live={live} />
      ) : null}
      {hasRollouts && hasBegun ? (
        <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_360px]">
          <RolloutStream runId={run.run_id} live={live} />
          <div className="flex flex-col gap-3">{beside}</div>
        </div>
      ) : (
        <div className="grid items-start gap-3 lg:grid-cols-2 xl:grid-cols-3">{beside}</div>
      )}
    </div>
  );
}

function Report({ face, detail: lastDetail }: { face: RunFace; detail: RunDetail }) {
  const run = useRunAtBest(lastDetail.run);
  const detail = { ...lastDetail, run };
  const { facts } = detail;
  // Before the first evaluation there is nothing to report of a run at work.
  const isEarly = isAtWork(run.state) && !run.metrics[facts?.best_metric ?? ""];
  switch (face.report) {
    case null:
      return null;
    case "answers":
      return <AnswersReport run={run} learns={face.main !== null} />;
    case "loss":
      return isEarly ? null : <LossReport detail={detail} />;
    case "reward":
      return isEarly ? null : <RewardReport detail={detail} />;
    case "sight":
      return isEarly ? null : <SightReport detail={detail} />;
    case "distance":
      return isEarly ? null : <ReportCard detail={detail} />;
    default:
      return face.report satisfies never;
  }
}
