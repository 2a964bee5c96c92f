import { useQuery } from "@tanstack/react-query";
import clsx from "clsx";
import { ChevronRight, CircleCheck, CircleX, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { pairReport, runPlan } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { PairReport, Plan } from "@/api/types";
import { formatDuration, formatNumber } from "@/components/format";
import { Skeleton } from "@/components/states";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { teachersOf } from "@/features/new-run/teachers";
import { useRested } from "@/features/new-run/use-rested";

/** Whether each teacher can grade a student's tokens and all fit, in a line; more when opened. */
export function PairVerdict({ block }: { block: string }) {
  const config = useDraft((draft) => draft.config);
  const student = String(settingOf(config, `${block}.student_model`) ?? "");
  const several = teachersOf(config, block);
  if (several.length === 0) {
    const teacher = String(settingOf(config, `${block}.teacher_model`) ?? "");
    return <OnePair student={student} teacher={teacher} isAlone />;
  }
  // Those on a server are asked when the run is checked; a copy of the student speaks its tokens.
  const named = several.filter((teacher) => teacher["model"]);
  return (
    <div className="flex flex-col gap-1">
      {named.map((teacher, index) => (
        <OnePair
          // biome-ignore lint/suspicious/noArrayIndexKey: two may have one name until it is mended
          key={index}
          student={student}
          teacher={String(teacher["model"])}
          label={String(teacher["name"] ?? "")}
        />
      ))}
      <FitVerdict />
    </div>
  );
}

interface OnePairProps {
  student: string;
  teacher: string;
  /** What the teacher is called where there are several. */
  label?: string;
  /** Whether the fit of the run is told beside it. */
  isAlone?: boolean;
}

function OnePair({ student, teacher, label, isAlone = false }: OnePairProps) {
  const pair = useQuery(pairReport(useRested(student), useRested(teacher)));
  const name = label ? <span className="shrink-0 text-muted">{label}:</span> : null;
  if (pair.isPending || pair.error) {
    return (
      <div className={FRAME}>
        <Line>
          {name}
          {pair.error ? <PairError error={pair.error} /> : <Skeleton className="h-4 w-96" />}
        </Line>
      </div>
    );
  }
  return (
    <details className={clsx("group", FRAME)}>
      <summary className="list-none">
        <Line>
          {ICONS[pair.data.verdict]}
          {name}
          <span className="truncate font-medium" title={pair.data.summary}>
            {pair.data.summary}
          </span>
          <ChevronRight className="size-3.5 shrink-0 text-faint group-open:rotate-90" aria-hidden />
          {isAlone ? <FitWords /> : null}
        </Line>
      </summary>
      <PairFindings report={pair.data} />
    </details>
  );
}

function PairError({ error }: { error: Error }) {
  const { title, reason } = describeError(error);
  return (
    <p role="alert" className="min-w-0">
      <span className="text-bad">{title}</span> <span className="text-muted">{reason}</span>
    </p>
  );
}

const FRAME = "rounded-lg border bg-surface";

function Line({ children }: { children: ReactNode }) {
  return <div className="flex min-h-9 min-w-0 items-center gap-2 px-3">{children}</div>;
}

const ICONS = {
  ok: <CircleCheck className="size-4 shrink-0 text-good" aria-label="In order" />,
  warning: <TriangleAlert className="size-4 shrink-0 text-warn" aria-label="Warning" />,
  mismatch: <CircleX className="size-4 shrink-0 text-bad" aria-label="Mismatch" />,
};

const FITS: Readonly<Record<Plan["verdict"], { icon: ReactNode; word: string }>> = {
  fits: { icon: <CircleCheck className="size-4 text-good" aria-hidden />, word: "Fits" },
  tight: { icon: <TriangleAlert className="size-4 text-warn" aria-hidden />, word: "Tight" },
  does_not_fit: { icon: <CircleX className="size-4 text-bad" aria-hidden />, word: "Does not fit" },
};

/** The same where tokens are nobody's concern: only whether the run fits. */
export function FitVerdict() {
  return (
    <div className={FRAME}>
      <Line>
        <FitWords />
      </Line>
    </div>
  );
}

/** Whether the run fits this machine as it is planned now, and how long it takes. */
function FitWords() {
  const config = useRested(useDraft((draft) => draft.config));
  const plan = useQuery(runPlan(config, null));
  if (!plan.data) {
    return plan.isPending ? (
      <Skeleton className="h-4 w-64" />
    ) : (
      <span className="truncate text-muted">{describeError(plan.error).title}</span>
    );
  }
  const { verdict, needed_gb, limit_gb, seconds } = plan.data;
  const isFitting = verdict !== "does_not_fit";
  return (
    <span className="num flex shrink-0 items-center gap-2 not-first:ml-auto">
      {FITS[verdict].icon}
      <span>
        <span className="font-medium">{FITS[verdict].word}:</span> {formatNumber(needed_gb, 3)} of{" "}
        {formatNumber(limit_gb, 3)} GB{isFitting ? `, about ${formatDuration(seconds)}` : ""}
      </span>
    </span>
  );
}

export function PairFindings({ report }: { report: PairReport }) {
  return (
    <ul className="flex flex-col gap-2 border-t p-3">
      {report.findings.map((finding) => (
        <li key={`${finding.code} ${finding.message}`} className="flex gap-2">
          <span className="mt-0.5">{ICONS[finding.verdict]}</span>
          <span>{finding.message}</span>
        </li>
      ))}
    </ul>
  );
}
