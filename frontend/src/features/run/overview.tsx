import type { LiveRun } from "@/api/live-run";
import type { RunDetail } from "@/api/types";
import { RanksCard } from "@/features/ranks/ranks-card";
import { Alarms, LatestAlarm } from "@/features/run/alarms";
import { AnswersReport } from "@/features/run/answers-report";
import { Ending } from "@/features/run/ending";
import { LearningCharts } from "@/features/run/learning-charts";
import { LiveStrip } from "@/features/run/live-strip";
import { LossReport } from "@/features/run/loss-report";
import { Notes } from "@/features/run/notes";
import { OriginCard } from "@/features/run/origin-card";
import { Outcome } from "@/features/run/outcome";
import { ReportCard } from "@/features/run/report-card";
import { RewardReport } from "@/features/run/reward-report";
import { RolloutStream } from "@/features/run/rollout-stream";
import { faceOf, type RunFace } from "@/features/run/run-face";
import { SightReport } from "@/features/run/sight-report";
import { StageStrip } from "@/features/run/stage-strip";
import { TeacherTable } from "@/features/run/teacher-figures";
import { TimeSplit } from "@/features/run/time-split";
import { Waiting } from "@/features/run/waiting";
import { isAtWork } from "@/features/runs/run-state";

interface OverviewProps {
  detail: RunDetail;
  live: LiveRun;
}

/** What a run's method has to show, at work or long done. */
export function Overview({ detail, live }: OverviewProps) {
  const face = faceOf(detail);
  const atWork = isAtWork(detail.run.state);
  const shown = live.run ?? detail.run;
  // Before its first step a run that learns has nothing to show but what it waits for.
  const isWaiting = atWork && face.main !== null && shown.step === 0;
  return (
    <div className="flex flex-col gap-3 p-4">
      <Ending detail={detail} />
      {face.stages.length > 0 ? <StageStrip names={face.stages} run={shown} live={live} /> : null}
      {atWork && !isWaiting ? <LiveStrip facts={detail.facts} run={shown} live={live} /> : null}
      {isWaiting ? <Waiting detail={detail} live={live} /> : null}
      {atWork ? <LatestAlarm alarms={live.alarms} /> : null}
      {isWaiting && face.report !== "answers" ? null : <Report face={face} detail={detail} />}
      <Outcome detail={detail} />
      {isWaiting ? null : <TeacherTable detail={detail} live={live} />}
      {isWaiting ? null : <Course face={face} detail={detail} live={live} />}
    </div>
  );
}

interface CourseProps extends OverviewProps {
  face: RunFace;
}

/** How it went: the time, the curves, what was sampled, and what made it. */
function Course({ face, detail, live }: CourseProps) {
  const { run } = detail;
  const hasRollouts = face.tabs.includes("rollouts");
  const hasBegun = run.num_events > 0 || live.lastSeq >= 0;
  const beside = (
    <>
      <Alarms runId={run.run_id} alarms={live.alarms} />
      <Notes key={run.run_id} run={run} />
      <OriginCard detail={detail} />
    </>
  );
  return (
    <>
      {hasBegun ? <TimeSplit detail={detail} /> : null}
      {face.main && hasBegun ? (
        <LearningCharts face={face} main={face.main} detail={detail} live={live} />
      ) : null}
      <RanksCard runId={run.run_id} atWork={isAtWork(run.state)} />
      {hasRollouts && hasBegun ? (
        <div className="grid items-start gap-3 lg:grid-cols-[minmax(0,1fr)_360px]">
          <RolloutStream runId={run.run_id} live={live} />
          <div className="flex flex-col gap-3">{beside}</div>
        </div>
      ) : (
        <div className="grid items-start gap-3 lg:grid-cols-2 xl:grid-cols-3">{beside}</div>
      )}
    </>
  );
}

function Report({ face, detail }: { face: RunFace; detail: RunDetail }) {
  switch (face.report) {
    case null:
      return null;
    case "answers":
      return <AnswersReport run={detail.run} learns={face.main !== null} />;
    case "loss":
      return <LossReport detail={detail} />;
    case "reward":
      return <RewardReport detail={detail} />;
    case "sight":
      return <SightReport detail={detail} />;
    case "distance":
      return <ReportCard detail={detail} />;
    default:
      return face.report satisfies never;
  }
}
