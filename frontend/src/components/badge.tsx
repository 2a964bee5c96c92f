import clsx from "clsx";
import type { ReactNode } from "react";

export type Tone = "neutral" | "accent" | "good" | "warn" | "bad";

const TONES: Record<Tone, string> = {
  neutral: "bg-hover text-muted",
  accent: "bg-accent-soft text-accent",
  good: "bg-good-soft text-good",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
};

export function Badge({ tone = "neutral", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={clsx(
        "num inline-flex h-5 items-center gap-1 rounded-sm px-1.5 text-sm whitespace-nowrap [&_svg]:size-3",
        TONES[tone],
      )}
    >
      {children}
    </span>
  );
}

const DOTS: Record<Tone, string> = {
  neutral: "border-faint",
  accent: "border-accent bg-accent",
  good: "border-good bg-good",
  warn: "border-warn bg-warn",
  bad: "border-bad bg-bad",
};

/** A state as a dot; the word beside it carries the meaning. */
export function StatusDot({ tone }: { tone: Tone }) {
  return <span aria-hidden className={clsx("size-2 shrink-0 rounded-full border", DOTS[tone])} />;
}
