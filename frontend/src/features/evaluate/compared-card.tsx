import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { comparedEvaluations, type EvaluationReport } from "@/api/evaluations";
import { describeError } from "@/api/problem";
import type { RunSummary } from "@/api/types";
import { Card } from "@/components/card";
import { Select } from "@/components/select";
import { Skeleton } from "@/components/states";
import { PairTable } from "@/features/evaluate/pair-table";

interface ComparedCardProps {
  run: RunSummary;
  others: readonly RunSummary[];
  report: EvaluationReport;
}

const NOBODY = "nobody";

/** The variants of this run in pairs, or together with those of another run. */
export function ComparedCard({ run, others, report }: ComparedCardProps) {
  const [other, setOther] = useState(NOBODY);
  const query = useQuery({
    ...comparedEvaluations([run.run_id, other]),
    enabled: other !== NOBODY,
  });
  const pairs = other === NOBODY ? report.comparisons : query.data?.pairs;
  if (report.comparisons.length === 0 && others.length === 0) {
    return null;
  }
  return (
    <Card
      title="Compared on the same items"
      flush
      actions={
        others.length === 0 ? null : (
          <Select
            label="Compare with another run"
            size="sm"
            value={other}
            choices={[
              { value: NOBODY, label: "This run only" },
              ...others.map((each) => ({ value: each.run_id, label: each.name })),
            ]}
            onChange={setOther}
            className="w-56"
          />
        )
      }
    >
      {pairs ? (
        pairs.length === 0 ? (
          <p className="p-3 text-muted">This run has one variant; choose another run.</p>
        ) : (
          <PairTable pairs={pairs} />
        )
      ) : query.error ? (
        <p role="alert" className="p-3 text-muted">
          {describeError(query.error).title} {describeError(query.error).reason}
        </p>
      ) : (
        <Skeleton className="m-3 h-16" />
      )}
    </Card>
  );
}
