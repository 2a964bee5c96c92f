import { useQuery } from "@tanstack/react-query";
import { MessagesSquare, PackageOpen } from "lucide-react";
import { beforeAfter } from "@/api/files";
import type { RunDetail } from "@/api/types";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { formatBytes } from "@/components/format";
import { AnswersTable, howAnswered } from "@/features/run/before-after";

/** Of a run that came to its end: a few answers before and after, and where to go from here. */
export function Outcome({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const isShown = run.state === "finished" && run.has_checkpoint;
  const found = useQuery({ ...beforeAfter(run.run_id), enabled: isShown }).data;
  if (!isShown || !found) {
    return null;
  }
  const hasAnswers = found.rows.length > 0;
  return (
    <Card title={hasAnswers ? "Before and after" : "What next"}>
      {hasAnswers ? (
        <>
          <AnswersTable found={found} />
          <p className="mt-2 text-sm text-muted">{howAnswered(found)}</p>
        </>
      ) : null}
      <div
        className={`flex flex-wrap items-center gap-2 ${hasAnswers ? "mt-3 border-t pt-3" : ""}`}
      >
        {hasAnswers ? <span className="mr-1 font-medium">Next</span> : null}
        <OwnFiles runId={run.run_id} />
        <ButtonLink
          to="/playground"
          search={{ run: run.run_id }}
          icon={<MessagesSquare aria-hidden />}
        >
          Try the student
        </ButtonLink>
        <ButtonLink to="/export" search={{ run: run.run_id }} icon={<PackageOpen aria-hidden />}>
          Export it
        </ButtonLink>
        {found.adapter_bytes === null ? null : (
          <span className="num ml-auto text-sm text-muted">
            The adapter has {formatBytes(found.adapter_bytes)}
          </span>
        )}
      </div>
    </Card>
  );
}

/** A new run with this one's settings, at the step where the files are chosen. */
export function OwnFiles({ runId, look = "plain" }: { runId: string; look?: "plain" | "primary" }) {
  return (
    <ButtonLink to="/new/$step" params={{ step: "data" }} search={{ from: runId }} look={look}>
      Train on your own data
    </ButtonLink>
  );
}
