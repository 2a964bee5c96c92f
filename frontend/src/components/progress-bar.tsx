import clsx from "clsx";
import type { Tone } from "@/components/badge";

const FILLS: Record<Tone, string> = {
  neutral: "bg-faint",
  accent: "bg-accent",
  good: "bg-good",
  warn: "bg-warn",
  bad: "bg-bad",
};

interface ProgressBarProps {
  label: string;
  /** 0 to 1. */
  share: number;
  tone?: Tone;
  className?: string;
}

export function ProgressBar({ label, share, tone = "accent", className }: ProgressBarProps) {
  const percent = Math.round(Math.min(Math.max(share, 0), 1) * 1000) / 10;
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
      className={clsx("h-1 overflow-hidden rounded-full bg-line", className)}
    >
      <div className={clsx("h-full", FILLS[tone])} style={{ width: `${percent}%` }} />
    </div>
  );
}
