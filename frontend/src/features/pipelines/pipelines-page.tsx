import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Workflow } from "lucide-react";
import { useState } from "react";
import { type PipelineStatus, pipelineList, shippedPipelines } from "@/api/pipelines";
import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatAgo } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { Prose } from "@/components/prose";
import { EmptyState, ErrorState, Notice, SkeletonRows } from "@/components/states";
import { NewPipeline } from "@/features/pipelines/new-pipeline";
import { PipelineStateBadge } from "@/features/pipelines/pipeline-state";
import { progressText } from "@/features/pipelines/wording";

/** Every pipeline of the workspace, newest first, and files to start from. */
export function PipelinesPage() {
  const query = useQuery(pipelineList());
  const shipped = useQuery(shippedPipelines());
  /** The text that a new one begins with; null while none is made. */
  const [text, setText] = useState<string | null>(null);
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Pipelines"
        detail="Runs that go on from each other, compared in the end"
        actions={
          <Button look="primary" icon={<Workflow aria-hidden />} onClick={() => setText("")}>
            New pipeline
          </Button>
        }
      />
      {text === null ? null : <NewPipeline text={text} onClose={() => setText(null)} />}
      <div className="grid items-start gap-3 px-4 pb-4 lg:grid-cols-[minmax(0,1fr)_300px]">
        <Card title="In this workspace" flush>
          {query.isPending ? (
            <SkeletonRows count={4} />
          ) : query.data ? (
            <Listed {...query.data} />
          ) : (
            <ErrorState
              title={describeError(query.error).title}
              reason={describeError(query.error).reason}
              retry={() => void query.refetch()}
            />
          )}
        </Card>
        <Card title="Shipped pipelines" flush>
          {shipped.isPending ? <SkeletonRows count={2} /> : null}
          <ul className="divide-y">
            {(shipped.data ?? []).map((each) => (
              <li key={each.name}>
                <button
                  type="button"
                  onClick={() => setText(each.yaml)}
                  className="w-full px-3 py-2 text-left hover:bg-hover"
                >
                  <span className="font-medium">{each.title}</span>
                  <span className="line-clamp-3 text-sm text-muted">
                    <Prose text={each.description} />
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </Card>
      </div>
    </div>
  );
}

interface ListedProps {
  pipelines: readonly PipelineStatus[];
  damaged: readonly { pipeline_id: string; problem: string }[];
}

function Listed({ pipelines, damaged }: ListedProps) {
  if (pipelines.length + damaged.length === 0) {
    return (
      <EmptyState title="No pipeline yet">
        A pipeline runs stages one after the other, each going on from the adapter of an earlier
        one, and lets the results answer the same held-out items. Start from a shipped one.
      </EmptyState>
    );
  }
  return (
    <>
      <ul className="divide-y">
        {pipelines.map((status) => (
          <li key={status.pipeline_id}>
            <Link
              to="/pipelines/$pipelineId"
              params={{ pipelineId: status.pipeline_id }}
              className="flex h-11 items-center gap-3 px-3 hover:bg-hover"
            >
              <span className="min-w-0 grow">
                <span className="block truncate font-medium">{status.name}</span>
                <span className="num block truncate text-sm text-muted">
                  {progressText(status)}
                </span>
              </span>
              <PipelineStateBadge state={status.state} />
              <span className="num w-20 text-right whitespace-nowrap text-muted">
                {formatAgo(status.created)}
              </span>
            </Link>
          </li>
        ))}
      </ul>
      {damaged.map(({ pipeline_id, problem }) => (
        <div key={pipeline_id} className="p-3">
          <Notice tone="bad" title={`${pipeline_id} cannot be read`}>
            {problem}
          </Notice>
        </div>
      ))}
    </>
  );
}
