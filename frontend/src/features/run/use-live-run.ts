import { useEffect, useState } from "react";
import { EMPTY_LIVE_RUN, foldMessage, type LiveRun } from "@/api/live-run";
import { queryClient } from "@/api/query-client";
import { type ConnectionState, followRun } from "@/api/run-events";
import type { RunEvent, RunStreamMessage } from "@/api/types";
import { learnRun } from "@/api/workspace";

/** Screen updates a second at most: the run shares the machine with the screen. */
const SHOW_MS = 250;

const MARKED: ReadonlySet<RunEvent["kind"]> = new Set([
  "evaluation_finished",
  "checkpoint_saved",
  "warning",
  "run_paused",
  "run_resumed",
  "run_finished",
  "run_failed",
]);

/** A run as its stream tells it, at most four updates a second. */
export function useLiveRun(runId: string): { live: LiveRun; connection: ConnectionState } {
  const [live, setLive] = useState(EMPTY_LIVE_RUN);
  const [connection, setConnection] = useState<ConnectionState>("connecting");

  useEffect(() => {
    let folded = EMPTY_LIVE_RUN;
    let timer: ReturnType<typeof setTimeout> | undefined;
    function show() {
      timer = undefined;
      setLive(folded);
    }
    const stop = followRun(runId, {
      onState: setConnection,
      onReset: () => {
        folded = EMPTY_LIVE_RUN;
        void queryClient.invalidateQueries({ queryKey: ["run", runId] });
      },
      onMessage: (message) => {
        const before = folded.epoch;
        folded = foldMessage(folded, message);
        refreshCaches(runId, message, folded.epoch !== before);
        timer ??= setTimeout(show, SHOW_MS);
      },
    });
    return () => {
      stop();
      clearTimeout(timer);
      setLive(EMPTY_LIVE_RUN);
    };
  }, [runId]);

  return { live, connection };
}

/** Asks again for what the events made old. */
function refreshCaches(runId: string, message: RunStreamMessage, isNewEpoch: boolean): void {
  if (message.kind === "state" || message.kind === "snapshot") {
    learnRun(message.run);
  }
  if (isNewEpoch && message.kind === "events") {
    void queryClient.invalidateQueries({ queryKey: ["run", runId] });
  }
  if (message.kind !== "events") {
    return;
  }
  const kinds = new Set(message.events.map((event) => event.kind));
  if ([...kinds].some((kind) => MARKED.has(kind))) {
    void queryClient.invalidateQueries({ queryKey: ["run", runId, "marks"] });
    void queryClient.invalidateQueries({ queryKey: ["run", runId, "checkpoints"] });
    void queryClient.invalidateQueries({ queryKey: ["run", runId, "detail"] });
  }
  if (kinds.has("evaluation_finished")) {
    void queryClient.invalidateQueries({ queryKey: ["run", runId, "metric"] });
  }
  if (kinds.has("self_test_finished")) {
    void queryClient.invalidateQueries({ queryKey: ["run", runId, "detail"] });
  }
}
