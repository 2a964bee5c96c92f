import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, TriangleAlert } from "lucide-react";
import { pairReport } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { PairReport } from "@/api/types";
import { Card } from "@/components/card";
import { Skeleton } from "@/components/states";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { useRested } from "@/features/new-run/use-rested";

/** Whether a teacher can grade a student's tokens, in words. */
export function PairVerdict({ block }: { block: string }) {
  const config = useDraft((draft) => draft.config);
  const student = useRested(String(settingOf(config, `${block}.student_model`) ?? ""));
  const teacher = useRested(String(settingOf(config, `${block}.teacher_model`) ?? ""));
  const pair = useQuery(pairReport(student, teacher));
  return (
    <Card title="Do they speak the same tokens?">
      {pair.isPending ? (
        <Skeleton className="h-20" />
      ) : pair.error ? (
        <div role="alert">
          <p className="text-bad">{describeError(pair.error).title}</p>
          <p className="text-muted">{describeError(pair.error).reason}</p>
        </div>
      ) : (
        <PairFindings report={pair.data} />
      )}
    </Card>
  );
}

const ICONS = {
  ok: <CircleCheck className="mt-0.5 size-4 shrink-0 text-good" aria-label="In order" />,
  warning: <TriangleAlert className="mt-0.5 size-4 shrink-0 text-warn" aria-label="Warning" />,
  mismatch: <CircleX className="mt-0.5 size-4 shrink-0 text-bad" aria-label="Mismatch" />,
};

export function PairFindings({ report }: { report: PairReport }) {
  return (
    <>
      <p className="mb-2 font-medium">{report.summary}</p>
      <ul className="flex flex-col gap-2">
        {report.findings.map((finding) => (
          <li key={`${finding.code} ${finding.message}`} className="flex gap-2">
            {ICONS[finding.verdict]}
            <span>{finding.message}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
