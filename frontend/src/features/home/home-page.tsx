import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { describeError } from "@/api/problem";
import { runPage } from "@/api/runs";
import { useWorkspace } from "@/api/workspace";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { PageHeader } from "@/components/page-header";
import { ErrorState, SkeletonRows } from "@/components/states";
import { ActiveRun } from "@/features/home/active-run";
import { FirstSuccess, firstFinished } from "@/features/home/first-success";
import { LastRuns } from "@/features/home/last-runs";
import { Machine } from "@/features/home/machine";
import { FirstRun, StartFrom } from "@/features/home/start-from";
import { Warnings } from "@/features/home/warnings";
import { QueueList } from "@/features/runs/queue-list";
import { isAtWork } from "@/features/runs/run-state";

const SHOWN = 14;

export function HomePage() {
  const recent = useQuery(runPage({ limit: SHOWN }));
  const { queue, system, runs } = useWorkspace();
  const active = queue?.active
    ? runs[queue.active.run_id]
    : Object.values(runs).find((run) => isAtWork(run.state));
  const isNew = recent.data?.total === 0;
  const finished = recent.data && firstFinished(recent.data.runs, recent.data.total);
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Home"
        actions={
          <ButtonLink to="/new" look="primary">
            New run
          </ButtonLink>
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        <Warnings system={system} blocked={queue?.blocked ?? null} />
        <div className="grid items-start gap-3 lg:grid-cols-[minmax(0,1fr)_300px] xl:grid-cols-[minmax(0,1fr)_360px]">
          <div className="flex min-w-0 flex-col gap-3">
            {active ? <ActiveRun run={active} /> : null}
            {finished ? <FirstSuccess run={finished} /> : null}
            {isNew ? (
              <FirstRun />
            ) : (
              <Card
                title="Last runs"
                flush
                actions={
                  <Link to="/runs" className="px-1 text-sm text-accent hover:underline">
                    Show all
                  </Link>
                }
              >
                {recent.isPending ? (
                  <SkeletonRows count={SHOWN} />
                ) : recent.data ? (
                  <LastRuns runs={recent.data.runs} />
                ) : (
                  <ErrorState
                    title={describeError(recent.error).title}
                    reason={describeError(recent.error).reason}
                    retry={() => void recent.refetch()}
                  />
                )}
              </Card>
            )}
          </div>
          <div className="flex flex-col gap-3">
            <StartFrom />
            <Machine system={system} />
            <Card title="Queue" flush>
              <QueueList />
            </Card>
          </div>
        </div>
      </div>
    </div>
  );
}
