import { useQuery } from "@tanstack/react-query";
import clsx from "clsx";
import { metricHistory } from "@/api/metrics";
import type { Checkpoint, Metric } from "@/api/types";
import { Card } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";
import { withInterval } from "@/components/interval";
import { type CurvePicture, pictureOf, placeOf } from "@/features/run/checkpoint-curve";

interface CheckpointChartProps {
  runId: string;
  metric: Metric;
  checkpoints: readonly Checkpoint[];
  chosen: number | null;
  onChoose: (step: number) => void;
}

const PX = 2000;

/** The held-out curve that decides which checkpoint is best, with every checkpoint to press. */
export function CheckpointChart(props: CheckpointChartProps) {
  const { runId, metric, checkpoints } = props;
  const history = useQuery(metricHistory(runId, metric.key, null, PX)).data;
  const picture = history ? pictureOf(history, checkpoints.at(-1)?.step ?? 0) : null;
  if (!picture) {
    return null;
  }
  const text = (value: number) =>
    metric.unit === "share" ? `${formatPercent(value)}\u00a0%` : formatNumber(value, 3);
  return (
    <Card
      title={
        <>
          {metric.title}{" "}
          <span className="font-normal text-faint">
            {metric.unit === "share" ? "" : metric.unit} held out, by step
          </span>
        </>
      }
    >
      <div className="flex gap-2">
        <div
          className="num flex flex-col justify-between text-right text-sm text-faint"
          aria-hidden
        >
          <span>{text(picture.high)}</span>
          <span>{text(picture.low)}</span>
        </div>
        <div className="relative mx-3 h-36 grow border-b border-l">
          <Line picture={picture} />
          {checkpoints.map((checkpoint) => (
            <CheckpointButton
              key={checkpoint.step}
              {...props}
              checkpoint={checkpoint}
              picture={picture}
              text={text}
            />
          ))}
        </div>
      </div>
      <p className="num mt-3 flex justify-between pl-14 text-sm text-faint" aria-hidden>
        <span>step {picture.points[0]?.step}</span>
        <span>
          step {Math.max(picture.points.at(-1)?.step ?? 0, checkpoints.at(-1)?.step ?? 0)}
        </span>
      </p>
    </Card>
  );
}

/** The curve and the intervals, stretched over its box. */
function Line({ picture }: { picture: CurvePicture }) {
  const at = (step: number, value: number) => {
    const { x, y } = picture.place(step, value);
    return `${x * 100} ${(1 - y) * 100}`;
  };
  const shared = { fill: "none", vectorEffect: "non-scaling-stroke" as const };
  return (
    <svg
      aria-hidden
      viewBox="0 0 100 100"
      preserveAspectRatio="none"
      className="absolute inset-0 size-full overflow-visible"
    >
      {picture.points.map(({ step, low, high }) =>
        low === null || high === null ? null : (
          <path
            key={step}
            d={`M${at(step, low)}L${at(step, high)}`}
            stroke="var(--color-line-strong)"
            strokeWidth={1}
            {...shared}
          />
        ),
      )}
      <path
        d={picture.points
          .map(({ step, value }, index) => `${index ? "L" : "M"}${at(step, value)}`)
          .join("")}
        stroke="var(--color-student)"
        strokeWidth={1.5}
        {...shared}
      />
    </svg>
  );
}

interface CheckpointButtonProps extends CheckpointChartProps {
  checkpoint: Checkpoint;
  picture: CurvePicture;
  text: (value: number) => string;
}

function CheckpointButton({
  checkpoint,
  picture,
  metric,
  chosen,
  onChoose,
  text,
}: CheckpointButtonProps) {
  const { x, y } = placeOf(checkpoint, metric.key, picture);
  const value = checkpoint.metrics?.[metric.key];
  const bounds = checkpoint.intervals?.[metric.key];
  const said =
    value === undefined ? "not evaluated there" : withInterval(text(value), bounds, metric.unit);
  const label = `Checkpoint at step ${checkpoint.step}${checkpoint.is_best ? ", the best" : ""}: ${said}`;
  return (
    <button
      type="button"
      title={label}
      aria-label={label}
      aria-pressed={checkpoint.step === chosen}
      onClick={() => onChoose(checkpoint.step)}
      className="group absolute flex size-6 -translate-x-1/2 translate-y-1/2 items-center justify-center rounded-full"
      style={{ left: `${x * 100}%`, bottom: `${y * 100}%` }}
    >
      <span
        className={clsx(
          "size-2.5 rounded-full border-2 bg-surface group-hover:scale-125 group-aria-pressed:scale-125",
          checkpoint.is_best
            ? "border-good group-aria-pressed:bg-good"
            : "border-student group-aria-pressed:bg-student",
        )}
      />
    </button>
  );
}
