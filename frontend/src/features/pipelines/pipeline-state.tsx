import type { PipelineState, StageStatus } from "@/api/pipelines";
import { Badge, type Tone } from "@/components/badge";

const TONES: Record<PipelineState | StageStatus["state"], Tone> = {
  created: "neutral",
  waiting: "neutral",
  running: "accent",
  paused: "warn",
  interrupted: "bad",
  failed: "bad",
  finished: "good",
};

export function PipelineStateBadge({ state }: { state: keyof typeof TONES }) {
  return <Badge tone={TONES[state]}>{state}</Badge>;
}
