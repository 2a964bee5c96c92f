import type { LiveRun } from "@/api/live-run";
import type { EventOf, RunDetail, TeacherFigures } from "@/api/types";

type Told = EventOf<"evaluation_finished">["by_teacher"][number];

/** What was measured by teacher: in the end of the best checkpoint, until then last. */
export function figuresByTeacher(
  detail: Pick<RunDetail, "by_teacher">,
  live: Pick<LiveRun, "evaluations">,
): readonly TeacherFigures[] {
  const newest = live.evaluations.at(-1)?.by_teacher ?? [];
  return detail.by_teacher.length > 0 ? detail.by_teacher : newest.map(withBounds);
}

/** Figures as an event has them, as the run's page has them. */
function withBounds(told: Told): TeacherFigures {
  const intervals = Object.entries(told.intervals).map(([key, [low, high]]) => [
    key,
    { low, high },
  ]);
  return { ...told, intervals: Object.fromEntries(intervals) };
}
