import { useNavigate } from "@tanstack/react-router";
import type { EvaluationReport, VariantReport } from "@/api/evaluations";
import { ApiError, describeError } from "@/api/problem";
import type { RunSummary } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { Card, Figure } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { ErrorState, Skeleton } from "@/components/states";
import { VariantTable } from "@/features/evaluate/variant-table";
import { pointsText, speedUp } from "@/features/evaluate/wording";
import { useEvaluationOf } from "@/features/run/evaluation-of";
import { isAtWork } from "@/features/runs/run-state";

/** What answers to labelled items are worth: the variants measured so far, and the student's figures. */
export function AnswersReport({ run, learns }: { run: RunSummary; learns: boolean }) {
  const navigate = useNavigate();
  const query = useEvaluationOf(run);
  if (query.data) {
    const report = query.data;
    return (
      <Card
        title="Report card"
        flush
        actions={
          <ButtonLink to="/evaluate" search={{ run: run.run_id }} size="sm">
            Labels, confusions and answers
          </ButtonLink>
        }
      >
        {learns ? <StudentFigures report={report} /> : null}
        <VariantTable
          report={report}
          chosen=""
          onChoose={() => void navigate({ to: "/evaluate", search: { run: run.run_id } })}
        />
      </Card>
    );
  }
  const isMissing = query.error instanceof ApiError && query.error.problem.status === 404;
  if (isMissing && (learns || run.state === "created")) {
    return null;
  }
  return (
    <Card title="Report card">
      {query.isPending ? (
        <Skeleton className="h-24" />
      ) : isMissing ? (
        <p className="text-muted">
          {isAtWork(run.state)
            ? "Nobody has answered all held-out items yet; the first variant comes with its last answer."
            : "No variant has answered the held-out items in this run."}
        </p>
      ) : (
        <ErrorState {...describeError(query.error)} retry={() => void query.refetch()} />
      )}
    </Card>
  );
}

/** The student after it learned, beside its teacher and beside itself before. */
function StudentFigures({ report }: { report: EvaluationReport }) {
  const find = (name: string) => report.variants.find((variant) => variant.name === name);
  const after = find("student_after");
  const before = find("student_before");
  const teacher = find("teacher_with_prompt");
  if (!after) {
    return null;
  }
  const faster = teacher && speedUp(after.seconds_per_answer, teacher.seconds_per_answer);
  return (
    <div className="grid grid-cols-2 gap-x-6 gap-y-4 border-b p-3 md:grid-cols-4">
      <Figure
        label="Student without the prompt"
        value={formatPercent(after.accuracy)}
        unit={after.accuracy === null ? undefined : "%"}
        note={accuracyNote(after, before)}
      />
      <Figure
        label="Beside its teacher"
        value={distance(after, teacher)}
        unit={after.accuracy === null || !teacher ? undefined : "points"}
        note={teacher ? `the teacher with the prompt: ${formatPercent(teacher.accuracy)} %` : ""}
      />
      <Figure
        label="Answers as the teacher does"
        value={formatPercent(after.teacher_agreement)}
        unit={after.teacher_agreement === null ? undefined : "%"}
        note="right or wrong"
      />
      <Figure
        label="Faster than the teacher"
        value={faster ? `${formatNumber(faster, 3)}×` : "–"}
        note={`${formatNumber(after.tokens_per_answer, 3)} tokens an answer, the teacher ${formatNumber(teacher?.tokens_per_answer, 3)}`}
      />
    </div>
  );
}

function accuracyNote(after: VariantReport, before: VariantReport | undefined): string {
  if (after.accuracy === null) {
    return "the held-out inputs have no right answers";
  }
  const from = before ? `, from ${formatPercent(before.accuracy)} %` : "";
  return `95 % interval ${intervalText(after.interval, "share")} %${from}`;
}

function distance(after: VariantReport, teacher: VariantReport | undefined): string {
  return after.accuracy === null || !teacher || teacher.accuracy === null
    ? "–"
    : pointsText(after.accuracy - teacher.accuracy);
}
