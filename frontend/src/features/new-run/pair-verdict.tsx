import { useQuery } from "@tanstack/react-query";
import { ChevronRight, CircleCheck, CircleX, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { pairReport, runPlan } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { PairReport, Plan } from "@/api/types";
import { formatDuration, formatNumber } from "@/components/format";
import { Skeleton } from "@/components/states";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { useRested } from "@/features/new-run/use-rested";

/** Whether a teacher can grade a student's tokens and both fit, in a line; more when opened. */
export function PairVerdict({ block }: { block: string }) {
  const config = useDraft((draft) => draft.config);
  const student = useRested(String(settingOf(config, `${block}.student_model`) ?? ""));
  const teacher = useRested(String(settingOf(config, `${block}.teacher_model`) ?? ""));
  const pair = useQuery(pairReport(student, teacher));
  if (pair.isPending) {
    return <VerdictLine icon={null}>{<Skeleton className="h-4 w-96" />}</VerdictLine>;
  }
  if (pair.error) {
    const { title, reason } = describeError(pair.error);
    return (
      <VerdictLine icon={ICONS.mismatch} isAlert>
        <span className="text-bad">{title}</span> <span className="text-muted">{reason}</span>
      </VerdictLine>
    );
  }
  return (
    <details className="group rounded-lg border bg-surface">
      <summary className="list-none">
        <VerdictLine icon={ICONS[pair.data.verdict]} isBare>
          <span className="font-medium">{pair.data.summary}</span>
          <ChevronRight className="size-3.5 text-faint group-open:rotate-90" aria-hidden />
        </VerdictLine>
      </summary>
      <PairFindings report={pair.data} />
    </details>
  );
}

const ICONS = {
  ok: <CircleCheck className="size-4 shrink-0 text-good" aria-label="In order" />,
  warning: <TriangleAlert className="size-4 shrink-0 text-warn" aria-label="Warning" />,
  mismatch: <CircleX className="size-4 shrink-0 text-bad" aria-label="Mismatch" />,
};

const FITS: Readonly<Record<Plan["verdict"], { icon: ReactNode; word: string }>> = {
  fits: { icon: ICONS.ok, word: "Fits" },
  tight: { icon: ICONS.warning, word: "Tight" },
  does_not_fit: { icon: ICONS.mismatch, word: "Does not fit" },
};

/** Whether the run fits this machine as it is planned now, and how long it takes. */
export function FitVerdict() {
  const config = useRested(useDraft((draft) => draft.config));
  const plan = useQuery(runPlan(config, null));
  if (!plan.data) {
    return (
      <VerdictLine icon={null}>
        {plan.isPending ? (
          <Skeleton className="h-4 w-64" />
        ) : (
          <span className="text-muted">{describeError(plan.error).title}</span>
        )}
      </VerdictLine>
    );
  }
  const { verdict, needed_gb, limit_gb, seconds } = plan.data;
  const isFitting = verdict !== "does_not_fit";
  return (
    <VerdictLine icon={FITS[verdict].icon}>
      <span className="font-medium">{FITS[verdict].word}:</span>
      <span className="num">
        needs {formatNumber(needed_gb, 3)} of {formatNumber(limit_gb, 3)} GB
        {isFitting ? `, about ${formatDuration(seconds)}` : ""}
      </span>
    </VerdictLine>
  );
}

interface VerdictLineProps {
  icon: ReactNode;
  isAlert?: boolean;
  isBare?: boolean;
  children: ReactNode;
}

function VerdictLine({ icon, isAlert = false, isBare = false, children }: VerdictLineProps) {
  return (
    <div
      role={isAlert ? "alert" : undefined}
      className={`flex min-h-9 items-center gap-2 px-3 ${isBare ? "" : "rounded-lg border bg-surface"}`}
    >
      {icon}
      {children}
    </div>
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
