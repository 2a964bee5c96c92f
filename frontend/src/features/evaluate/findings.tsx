import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useRef, useState } from "react";
import {
  type AnswerFilter,
  type EvaluationReport,
  evaluationReport,
  heatMapUrl,
  type VariantReport,
} from "@/api/evaluations";
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
import { Headline } from "@/features/evaluate/headline";
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

const WRONG: AnswerFilter = { only: "wrong" };

function Report({ run, others, report }: ReportProps) {
  const last = report.variants.at(-1)?.name ?? "";
  const [picked, setPicked] = useState(last);
  const [filter, setFilter] = useState(WRONG);
  const place = useRef<HTMLDivElement>(null);
  const variant = report.variants.find((each) => each.name === picked) ?? report.variants.at(-1);
  if (!variant) {
    return null;
  }
  const choose = (name: string) => {
    setPicked(name);
    setFilter(WRONG);
  };
  const look = (wanted: AnswerFilter) => {
    setFilter(wanted);
    place.current?.scrollIntoView({ block: "start" });
  };
  return (
    <>
      <Headline variant={variant} pairs={report.comparisons} numItems={report.num_items} />
      <VariantsCard run={run} report={report} chosen={variant.name} onChoose={choose} />
      {/* An evaluation's steps are its variants, which is no trend. */}
      {run.method === "evaluation" ? (
        <CheckpointTrend report={report} chosen={variant.name} onChoose={choose} />
      ) : (
        <Trend run={run} />
      )}
      <ComparedCard run={run} others={others} report={report} chosen={variant.name} />
      {variant.num_graded > 0 && gradingText(report.grading) === "" ? (
        <Labels variant={variant} onLook={look} />
      ) : null}
      <Answers
        key={variant.name}
        runId={run.run_id}
        variant={variant.name}
        filter={filter}
        onFilter={setFilter}
        place={place}
      />
    </>
  );
}

interface VariantsCardProps {
  run: RunSummary;
  report: EvaluationReport;
  chosen: string;
  onChoose: (variant: string) => void;
}

function VariantsCard({ run, report, chosen, onChoose }: VariantsCardProps) {
  const graded = gradingText(report.grading);
  return (
    <Card
      title={`Variants on ${report.num_items} items${graded ? `: ${graded}` : ""}`}
      flush
      actions={
        <>
          <Button size="sm" onClick={() => saveReport(report)} icon={<Download aria-hidden />}>
            JSON
          </Button>
          {graded ? null : (
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
      <VariantTable report={report} chosen={chosen} onChoose={onChoose} />
    </Card>
  );
}

interface LabelsProps {
  variant: VariantReport;
  onLook: (filter: AnswerFilter) => void;
}

/** Where a variant goes wrong; a press leads to the answers that are counted. */
function Labels({ variant, onLook }: LabelsProps) {
  const title = variantTitle(variant.name);
  return (
    <div className="grid items-start gap-3 lg:grid-cols-2">
      <Card title={`Labels, worst first: ${title}`} flush className="lg:col-span-2 xl:col-span-1">
        <LabelTable variant={variant} onLabel={(gold) => onLook({ only: "wrong", gold })} />
      </Card>
      <Card title={`Confusions: ${title}`} flush>
        <ConfusionMap
          variant={variant}
          onCell={(gold, predicted) =>
            onLook(predicted === null ? { only: "unparseable", gold } : { gold, predicted })
          }
        />
      </Card>
      <Card title={`Worst labels: ${title}`} className="xl:col-span-2">
        <WorstLabels variant={variant} />
      </Card>
    </div>
  );
}

function saveReport(report: EvaluationReport): void {
  download(`${report.run_id}.json`, `${JSON.stringify(report, null, 1)}\n`, "application/json");
}
