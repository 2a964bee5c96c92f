import type { LiveRun } from "@/api/live-run";
import type { RunDetail, TeacherFigures } from "@/api/types";
import { Card } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";
import { type Bounds, withInterval } from "@/components/interval";
import { figuresByTeacher } from "@/features/run/teachers";

const TITLES = [
  "Teacher",
  "Prompts",
  "Reverse KL, nats/token",
  "Agreement",
  "Accuracy",
  "Teacher's accuracy",
];

/** What was measured on the prompts of each of a run's several teachers; nothing where it has one. */
export function TeacherTable({ detail, live }: { detail: RunDetail; live: LiveRun }) {
  const figures = figuresByTeacher(detail, live);
  if (figures.length === 0) {
    return null;
  }
  return (
    <Card title="By teacher" flush>
      <div className="overflow-x-auto">
        <table className="w-full text-sm">
          <caption className="sr-only">Held-out figures on the prompts of each teacher</caption>
          <thead className="text-left text-muted">
            <tr>
              {TITLES.map((title) => (
                <th key={title} scope="col" className="px-3 py-2 font-normal">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody className="num">
            {figures.map((each) => (
              <tr key={each.name} className="border-t">
                <th scope="row" className="px-3 py-2 text-left font-medium">
                  {each.name}
                </th>
                <td className="px-3 py-2">{each.num_prompts}</td>
                <td className="px-3 py-2">{distanceOf(each)}</td>
                <td className="px-3 py-2">{shareOf(each, "eval_agreement")}</td>
                <td className="px-3 py-2">{shareOf(each, "eval_accuracy")}</td>
                <td className="px-3 py-2">{percent(each.teacher_accuracy)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function distanceOf(figures: TeacherFigures): string {
  const key = "eval_reverse_kl" in figures.metrics ? "eval_reverse_kl" : "eval_reverse_kl_bound";
  return withInterval(formatNumber(figures.metrics[key]), boundsOf(figures, key));
}

function shareOf(figures: TeacherFigures, key: string): string {
  return withInterval(percent(figures.metrics[key]), boundsOf(figures, key), "share");
}

function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? "–" : `${formatPercent(share)} %`;
}

function boundsOf(figures: TeacherFigures, key: string): Bounds {
  return figures.intervals[key];
}
