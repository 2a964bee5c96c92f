import clsx from "clsx";

interface IntervalBarProps {
  share: number;
  low: number;
  high: number;
  /** Where rules that need no model stand, 0 to 1. */
  rules: readonly number[];
  /** Among the best within the interval; the others are grey. */
  isAmongBest: boolean;
  label: string;
}

const left = (share: number) => ({ left: `${Math.min(Math.max(share, 0), 1) * 100}%` });

/** A share with its interval on a track from nothing to all; rules are strokes across it. */
export function IntervalBar({ share, low, high, rules, isAmongBest, label }: IntervalBarProps) {
  const color = isAmongBest ? "bg-accent" : "bg-faint";
  return (
    <div role="img" aria-label={label} className="relative h-4 min-w-28 rounded-sm bg-sunken">
      {[...new Set(rules)].map((rule) => (
        <span
          key={rule}
          className="absolute inset-y-0 border-l border-dashed border-line-strong"
          style={left(rule)}
        />
      ))}
      <span
        className={clsx("absolute top-[7px] h-0.5", color)}
        style={{ ...left(low), width: `${(Math.min(high, 1) - Math.max(low, 0)) * 100}%` }}
      />
      {[low, high].map((end, place) => (
        <span
          key={place === 0 ? "low" : "high"}
          className={clsx("absolute top-1 h-2 w-px", color)}
          style={left(end)}
        />
      ))}
      <span
        className={clsx("absolute top-1 size-2 -translate-x-1/2 rounded-full", color)}
        style={left(share)}
      />
    </div>
  );
}
