import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";
import { type EvaluationReport, evaluationReport, heatMapUrl } from "@/api/evaluations";
import { ApiError, describeError } from "@/api/problem";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { download } from "@/components/download";
import { ProgressBar } from "@/components/progress-bar";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { Answers } from "@/features/evaluate/answers";
import { CheckpointTrend } from "@/features/evaluate/checkpoint-trend";
import { ComparedCard } from "@/features/evaluate/compared-card";
import { ConfusionMap } from "@/features/evaluate/confusion-map";
import { LabelTable } from "@/features/evaluate/label-table";
import { Trend } from "@/features/evaluate/trend";
import { VariantTable } from "@/features/evaluate/variant-table";
import { gradingText, variantTitle } from "@/features/evaluate/wording";
import { WorstLabels } from "@/features/evaluate/worst-labels";
import { isAtWork } from "@/features/runs/run-state";

const WATCH_MS = 2000;

interface FindingsProps {
  run: RunSummary;
  /** Other runs whose variants this one's can be compared with. */
  others: readonly RunSummary[];
}

/** What a run's evaluation found, or how far it is. */
export function Findings({ run, others }: FindingsProps) {
  const atWork = isAtWork(run.state) || run.state === "queued";
  const query = useQuery({
    ...evaluationReport(run.run_id),
    refetchInterval: atWork ? WATCH_MS : (false as const),
  });
  if (query.isPending) {
    return <SkeletonRows count={8} />;
  }
  if (query.data) {
    return <Report run={run} others={others} report={query.data} />;
  }
  if (query.error instanceof ApiError && query.error.problem.status === 404) {
    return <Unfinished run={run} atWork={atWork} />;
  }
  return <ErrorState {...describeError(query.error)} retry={() => void query.refetch()} />;
}

function Unfinished({ run, atWork }: { run: RunSummary; atWork: boolean }) {
  return (
    <EmptyState title={atWork ? "Still answering" : "No evaluation in this run"}>
      {atWork ? (
        <>
          <p className="line-clamp-2 max-w-lg" dir="auto">
            {run.phase_detail || "Waiting for its turn."}
          </p>
          <ProgressBar
            share={run.num_steps ? run.step / run.num_steps : 0}
            label={run.method === "evaluation" ? "Variants done" : "Steps done"}
            className="mt-3"
          />
        </>
      ) : (
        `It is ${run.state}. Open the run to see why, or resume it.`
      )}
    </EmptyState>
  );
}

interface ReportProps extends FindingsProps {
  report: EvaluationReport;
}

function Report({ run, others, report }: ReportProps) {
  const last = report.variants.at(-1)?.name ?? "";
  const [picked, setPicked] = useState(last);
  const variant = report.variants.find((each) => each.name === picked) ?? report.variants.at(-1);
  if (!variant) {
    return null;
  }
  const title = variantTitle(variant.name);
  const isFree = gradingText(report.grading) !== "";
  return (
    <>
      <Card
        title={`Variants on ${report.num_items} items${isFree ? `: ${gradingText(report.grading)}` : ""}`}
        flush
        actions={
          <>
            <Button size="sm" onClick={() => saveReport(report)} icon={<Download aria-hidden />}>
              JSON
            </Button>
            {isFree ? null : (
              <Button
                size="sm"
                icon={<Download aria-hidden />}
                onClick={() => window.location.assign(heatMapUrl(run.run_id))}
              >
                Heat map
              </Button>
            )}
          </>
        }
      >
        <VariantTable report={report} chosen={variant.name} onChoose={setPicked} />
      </Card>
      <ComparedCard run={run} others={others} report={report} />
      {/* An evaluation's steps are its variants, which is no trend. */}
      {run.method === "evaluation" ? <CheckpointTrend report={report} /> : <Trend run={run} />}
      {variant.num_graded > 0 && !isFree ? (
        <div className="grid items-start gap-3 xl:grid-cols-2">
          <Card title={`Labels, worst first: ${title}`} flush>
            <LabelTable variant={variant} />
          </Card>
          <Card title={`Confusions: ${title}`} flush>
            <ConfusionMap variant={variant} />
          </Card>
          <Card title={`Worst labels: ${title}`}>
            <WorstLabels variant={variant} />
          </Card>
          <Answers key={variant.name} runId={run.run_id} variant={variant.name} />
        </div>
      ) : (
        <Answers key={variant.name} runId={run.run_id} variant={variant.name} />
      )}
    </>
  );
}

function saveReport(report: EvaluationReport): void {
  download(`${report.run_id}.json`, `${JSON.stringify(report, null, 1)}\n`, "application/json");
}
