import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { comparedEvaluations, type EvaluationReport, type PairComparison } from "@/api/evaluations";
import { describeError } from "@/api/problem";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Select } from "@/components/select";
import { Skeleton } from "@/components/states";
import { PairTable } from "@/features/evaluate/pair-table";
import { pairsAbout } from "@/features/evaluate/pairs";
import { variantTitle } from "@/features/evaluate/wording";

interface ComparedCardProps {
  run: RunSummary;
  others: readonly RunSummary[];
  report: EvaluationReport;
  /** The variant that is looked at: of many pairs only its own are listed at first. */
  chosen: string;
}

const NOBODY = "nobody";

/** The variants of this run in pairs, or together with those of another run. */
export function ComparedCard({ run, others, report, chosen }: ComparedCardProps) {
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
        <ListedPairs pairs={pairs} chosen={chosen} />
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

/** All pairs of a few; of many those of the chosen variant, and the others when asked for. */
function ListedPairs({ pairs, chosen }: { pairs: readonly PairComparison[]; chosen: string }) {
  const [isWhole, setWhole] = useState(false);
  const about = pairsAbout(chosen, pairs);
  if (pairs.length === 0) {
    return <p className="p-3 text-muted">This run has one variant; choose another run.</p>;
  }
  return (
    <>
      <PairTable pairs={isWhole ? pairs : about} />
      {about.length < pairs.length ? (
        <div className="border-t p-2">
          <Button size="sm" onClick={() => setWhole(!isWhole)}>
            {isWhole ? `Only those of ${variantTitle(chosen)}` : `All ${pairs.length} pairs`}
          </Button>
        </div>
      ) : null}
    </>
  );
}
