import { Badge, type Tone } from "@/components/badge";
import { formatBytes } from "@/components/format";

const FITS: Record<string, { tone: Tone; label: string }> = {
  fits: { tone: "good", label: "fits" },
  tight: { tone: "warn", label: "tight" },
  does_not_fit: { tone: "bad", label: "does not fit" },
};

/** Whether a model's weights fit into this machine, nothing else loaded. */
export function Fits({ verdict }: { verdict: string | null | undefined }) {
  const known = verdict ? FITS[verdict] : undefined;
  return known ? (
    <Badge tone={known.tone}>{known.label}</Badge>
  ) : (
    <span className="text-muted">–</span>
  );
}

/** A size in GB of 1e9 bytes, in the unit that suits it. */
export function Gigabytes({ value }: { value: number | null | undefined }) {
  return value === null || value === undefined ? (
    <span className="text-muted">–</span>
  ) : (
    formatBytes(value * 1e9)
  );
}
