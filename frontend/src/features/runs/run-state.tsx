import type { RunState } from "@/api/types";
import { Badge, StatusDot, type Tone } from "@/components/badge";

const TONES: Record<RunState, Tone> = {
  created: "neutral",
  queued: "neutral",
  starting: "accent",
  running: "accent",
  stopping: "warn",
  paused: "warn",
  finished: "good",
  failed: "bad",
  interrupted: "bad",
};

export function RunStateDot({ state }: { state: RunState }) {
  return <StatusDot tone={TONES[state]} />;
}

export function RunStateBadge({ state }: { state: RunState }) {
  return <Badge tone={TONES[state]}>{state}</Badge>;
}

export const RUN_STATES = Object.keys(TONES) as RunState[];

export function isAtWork(state: RunState): boolean {
  return state === "running" || state === "starting" || state === "stopping";
}
