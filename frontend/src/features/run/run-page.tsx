import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { LiveRun } from "@/api/live-run";
import { describeError } from "@/api/problem";
import { runDetail } from "@/api/runs";
import type { RunDetail } from "@/api/types";
import { ErrorState, Notice, Skeleton, SkeletonRows } from "@/components/states";
import { TabList, tabClass } from "@/components/tabs";
import { Checkpoints } from "@/features/run/checkpoints";
import { ConfigView } from "@/features/run/config-view";
import { LogView } from "@/features/run/log-view";
import { Overview } from "@/features/run/overview";
import { Rollouts } from "@/features/run/rollouts";
import { faceOf } from "@/features/run/run-face";
import { RunHeader } from "@/features/run/run-header";
import type { RunTab } from "@/features/run/run-tabs";
import { TAB_LABELS } from "@/features/run/run-tabs";
import { useLiveRun } from "@/features/run/use-live-run";
import { useRunKeys } from "@/features/run/use-run-keys";
import { isAtWork } from "@/features/runs/run-state";

const REFRESH_MS = 10_000;

/** One page for a run at work and a run of last year: the same facts, followed or not. */
export function RunPage() {
  const { runId } = useParams({ from: "/runs/$runId" });
  const { tab = "overview" } = useSearch({ from: "/runs/$runId" });
  // Its log is followed; where the time went and what is worth telling are asked for now and then.
  const detail = useQuery({
    ...runDetail(runId),
    refetchInterval: ({ state }) =>
      state.data && isAtWork(state.data.run.state) ? REFRESH_MS : false,
  });
  const { live, connection } = useLiveRun(runId);
  useRunKeys(detail.data);
  if (detail.isPending) {
    return (
      <div className="flex flex-col gap-3 p-4">
        <Skeleton className="h-6 w-72" />
        <SkeletonRows count={12} />
      </div>
    );
  }
  if (!detail.data) {
    const { title, reason } = describeError(detail.error);
    return <ErrorState title={title} reason={reason} retry={() => void detail.refetch()} />;
  }
  return (
    <div className="flex h-full flex-col">
      <RunHeader detail={detail.data} connection={connection} />
      <TabList label="Parts of the run">
        {faceOf(detail.data).tabs.map((id) => (
          <Link
            key={id}
            to="/runs/$runId"
            params={{ runId }}
            search={id === "overview" ? {} : { tab: id }}
            aria-current={id === tab ? "page" : undefined}
            className={tabClass(id === tab)}
          >
            {TAB_LABELS[id]}
          </Link>
        ))}
      </TabList>
      <div className="min-h-0 grow overflow-y-auto">
        {connection === "damaged" ? (
          <div className="p-4">
            <Notice tone="bad" title="The log of this run is damaged">
              Its events cannot be followed. What was read before the damage is shown.
            </Notice>
          </div>
        ) : null}
        {partOf(tab, detail.data, live)}
      </div>
    </div>
  );
}

function partOf(tab: RunTab, detail: RunDetail, live: LiveRun): ReactNode {
  const runId = detail.run.run_id;
  switch (tab) {
    case "overview":
      return <Overview detail={detail} live={live} />;
    case "rollouts":
      return (
        <Padded>
          <Rollouts runId={runId} live={live} />
        </Padded>
      );
    case "checkpoints":
      return (
        <Padded>
          <Checkpoints detail={detail} />
        </Padded>
      );
    case "log":
      return (
        <Padded>
          <LogView runId={runId} isAtWork={isAtWork(detail.run.state)} />
        </Padded>
      );
    case "config":
      return (
        <Padded>
          <ConfigView detail={detail} />
        </Padded>
      );
  }
}

function Padded({ children }: { children: ReactNode }) {
  return <div className="h-full p-4">{children}</div>;
}
