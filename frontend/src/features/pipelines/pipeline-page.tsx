import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Download } from "lucide-react";
import {
  type PipelineDetail,
  type PipelineTable,
  pipelineDetail,
  type TableFile,
  tableFileUrl,
} from "@/api/pipelines";
import { describeError } from "@/api/problem";
import { buttonClass } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { formatPlural } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { ProgressBar } from "@/components/progress-bar";
import { ScrolledText } from "@/components/scrolled-text";
import { ErrorState, Notice, SkeletonRows } from "@/components/states";
import { PipelineStateBadge } from "@/features/pipelines/pipeline-state";
import { PipelineVerbs } from "@/features/pipelines/pipeline-verbs";
import { ResultTable } from "@/features/pipelines/result-table";
import { StageTable } from "@/features/pipelines/stage-table";
import { comparable, progressText, verdictText } from "@/features/pipelines/wording";

/** One pipeline: its stages with their runs, and the table that they end in. */
export function PipelinePage() {
  const { pipelineId } = useParams({ from: "/pipelines/$pipelineId" });
  const query = useQuery(pipelineDetail(pipelineId));
  if (query.isPending) {
    return <SkeletonRows count={12} />;
  }
  if (!query.data) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  return <Shown detail={query.data} />;
}

function Shown({ detail }: { detail: PipelineDetail }) {
  const { status, table } = detail;
  const trained = status.stages.filter(({ method }) => method !== "evaluation");
  return (
    <div className="flex flex-col">
      <PageHeader
        title={
          <span className="flex items-center gap-2">
            {status.name} <PipelineStateBadge state={status.state} />
          </span>
        }
        detail={progressText(status)}
        actions={<PipelineVerbs status={status} />}
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {status.state === "running" ? (
          <ProgressBar label="Stages finished" share={status.num_finished / status.stages.length} />
        ) : null}
        {status.message ? (
          <Notice tone={status.state === "failed" ? "bad" : "warn"} title={status.message}>
            {status.action}
          </Notice>
        ) : null}
        {table ? <Result table={table} /> : null}
        <Card
          title="Stages"
          flush
          actions={<CompareLink runIds={trained.map((each) => each.run_id)} label="Compare runs" />}
        >
          <StageTable stages={status.stages} />
        </Card>
        {detail.log_tail ? (
          <Card title="Last lines of its log" flush>
            <ScrolledText label="Log" text={detail.log_tail} wrap className="max-h-48 p-3" />
          </Card>
        ) : null}
        <Card
          title="Every setting of every stage"
          flush
          actions={<CopyButton label="Copy the YAML" text={detail.config_yaml} />}
        >
          <ScrolledText label="config.yaml" text={detail.config_yaml} className="max-h-80 p-3" />
        </Card>
      </div>
    </div>
  );
}

function Result({ table }: { table: PipelineTable }) {
  return (
    <Card
      title={`Compared on ${formatPlural(table.num_items, "held-out item")}`}
      flush
      actions={
        <>
          <CompareLink
            runIds={table.variants.map((row) => row.evaluation_run_id)}
            label="Compare answers"
          />
          <FileLink pipelineId={table.pipeline_id} name="table.csv" label="CSV" />
          <FileLink pipelineId={table.pipeline_id} name="table.png" label="PNG" />
        </>
      }
    >
      <p className="border-b px-3 py-2 font-medium">{verdictText(table)}</p>
      <ResultTable table={table} />
    </Card>
  );
}

/** The page that lays runs beside each other; it takes two at least. */
function CompareLink({ runIds, label }: { runIds: readonly (string | null)[]; label: string }) {
  const run = comparable(runIds);
  return run.length < 2 ? null : (
    <ButtonLink size="sm" to="/compare" search={{ run }}>
      {label}
    </ButtonLink>
  );
}

interface FileLinkProps {
  pipelineId: string;
  name: TableFile;
  label: string;
}

function FileLink({ pipelineId, name, label }: FileLinkProps) {
  return (
    <a
      href={tableFileUrl(pipelineId, name)}
      download={`${pipelineId}-${name}`}
      className={buttonClass({ size: "sm" })}
    >
      <Download aria-hidden />
      {label}
    </a>
  );
}
