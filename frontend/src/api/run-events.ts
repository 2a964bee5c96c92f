/** The only module that opens websockets: follows a run or the workspace and reconnects. */
import type { RunStreamMessage, WorkspaceMessage } from "@/api/types";

export type ConnectionState = "connecting" | "live" | "reconnecting" | "gone" | "damaged";

interface Follower<M> {
  onMessage: (message: M) => void;
  onState: (state: ConnectionState) => void;
}

export interface RunFollower extends Follower<RunStreamMessage> {
  /** What is known no longer holds: the run's log was replaced; a snapshot follows. */
  onReset: () => void;
}

const CLOSE = { noSuchRun: 4404, aheadOfLog: 4409, runReplaced: 4410, logDamaged: 4500 };
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8000;
/** The backend pings every 15 seconds; longer silence is a dead connection. */
const SILENCE_MS = 40_000;

/** Waiting time before the given attempt (from 0): doubles up to eight seconds. */
export function reconnectDelay(attempt: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS);
}

/** Follows a run from its newest events on; after a break it goes on behind the last seq. */
export function followRun(runId: string, follower: RunFollower): () => void {
  let lastSeq: number | null = null;
  return follow<RunStreamMessage>({
    path: () => {
      const after = lastSeq === null ? "" : `?after=${lastSeq}`;
      return `/api/runs/${encodeURIComponent(runId)}/stream${after}`;
    },
    onState: follower.onState,
    onMessage: (message) => {
      if (message.kind === "snapshot") {
        lastSeq = message.seq < 0 ? null : message.seq;
      } else if (message.kind === "events") {
        lastSeq = message.last;
      }
      follower.onMessage(message);
    },
    onClose: (code) => {
      if (code === CLOSE.aheadOfLog || code === CLOSE.runReplaced) {
        lastSeq = null;
        follower.onReset();
      }
      if (code === CLOSE.logDamaged) {
        return "damaged";
      }
      return code === CLOSE.noSuchRun ? "gone" : "reconnecting";
    },
  });
}

/** Follows the queue, the states of all runs and the machine's figures. */
export function followWorkspace(follower: Follower<WorkspaceMessage>): () => void {
  return follow<WorkspaceMessage>({
    path: () => "/api/stream",
    onState: follower.onState,
    onMessage: follower.onMessage,
    onClose: () => "reconnecting",
  });
}

interface FollowSettings<M> extends Follower<M> {
  path: () => string;
  onClose: (code: number) => "reconnecting" | "gone" | "damaged";
}

function follow<M>(settings: FollowSettings<M>): () => void {
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let stopped = false;

  function listenForSilence() {
    clearTimeout(timer);
    timer = setTimeout(() => socket?.close(), SILENCE_MS);
  }

  function connect() {
    const opened = new WebSocket(settings.path(), []);
    socket = opened;
    opened.onmessage = (event: MessageEvent<string>) => {
      attempt = 0;
      listenForSilence();
      settings.onState("live");
      settings.onMessage(JSON.parse(event.data) as M);
    };
    opened.onclose = (event) => {
      clearTimeout(timer);
      if (stopped) {
        return;
      }
      const next = settings.onClose(event.code);
      settings.onState(next);
      if (next === "reconnecting") {
        timer = setTimeout(connect, reconnectDelay(attempt));
        attempt += 1;
      }
    };
  }

  settings.onState("connecting");
  connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    socket?.close();
  };
}
