interface SparklineProps {
  values: readonly number[];
  label: string;
  width?: number;
  height?: number;
}

/** A run's curve in a row's height, scaled to itself. */
export function Sparkline({ values, label, width = 96, height = 20 }: SparklineProps) {
  if (values.length < 2) {
    return <span className="text-faint">–</span>;
  }
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((value, index) => {
    const x = (index / (values.length - 1)) * (width - 2) + 1;
    const y = height - 2 - ((value - low) / span) * (height - 4);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg width={width} height={height} role="img" aria-label={label} className="block">
      <polyline
        points={points.join(" ")}
        fill="none"
        stroke="var(--color-student)"
        strokeWidth="1.25"
        strokeLinejoin="round"
      />
    </svg>
  );
}
