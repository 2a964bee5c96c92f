import clsx from "clsx";
import { ImageDown } from "lucide-react";
import { type ReactNode, useId, useMemo, useState } from "react";
import { ChartTable } from "@/charts/chart-table";
import { roleColor, roleStroke } from "@/charts/colors";
import { type Curve, describeCurve, intervalAt, smoothingOf } from "@/charts/curves";
import { type Mark, marksNear } from "@/charts/marks";
import { savePicture } from "@/charts/picture";
import { useKeyboardCursor } from "@/charts/use-keyboard-cursor";
import { usePan } from "@/charts/use-pan";
import { usePlot } from "@/charts/use-plot";
import { Button } from "@/components/button";

export interface ChartProps {
  title: string;
  unit: string;
  curves: readonly Curve[];
  marks?: readonly Mark[];
  /** The weight of the past per point, 0 to 1; null leaves it to each curve's length. */
  smoothing: number | null;
  log: boolean;
  height: number;
  compact?: boolean;
  /** Whether curves have their names beside their values; else it follows from how many there are. */
  named?: boolean;
  /** Charts of one key share cursor and zoom. */
  syncKey: string;
  range: readonly [number, number] | null;
  onRange: (range: readonly [number, number] | null) => void;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
}

const NO_MARKS: readonly Mark[] = [];

/** Lines with bands; drag to zoom, wheel to pan, double-click to see all, arrows move the cursor. */
export function Chart(props: ChartProps) {
  const { title, unit, curves, marks = NO_MARKS, formatX, formatY } = props;
  const [index, setIndex] = useState<number | null>(null);
  const { host, plot, data } = usePlot({ ...props, marks, onCursor: setIndex });
  const pan = usePan(host, { xs: data[0], range: props.range, onRange: props.onRange });
  const onKeyDown = useKeyboardCursor(plot, pan, () => props.onRange(null));
  const summaryId = useId();
  const summary = useMemo(
    () => curves.map((curve) => describeCurve(curve, formatY)).join(" "),
    [curves, formatY],
  );
  const at = index === null ? undefined : data[0][index];
  return (
    <figure className="flex min-w-0 flex-col gap-1">
      <Readout
        {...props}
        marks={marks}
        data={data}
        index={index}
        at={at}
        action={
          <Button
            size="sm"
            look="quiet"
            className="-my-1 self-center"
            icon={<ImageDown aria-hidden />}
            aria-label={`Save ${title} as a picture`}
            title="Save as a picture"
            onClick={() => plot.current && savePicture(plot.current, title)}
          />
        }
      />
      {/* biome-ignore lint/a11y/useSemanticElements: nothing in here is a form control */}
      <div
        ref={host}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: reachable, so that arrow keys can read it
        tabIndex={0}
        role="group"
        aria-roledescription="chart"
        aria-label={`${title}${unit ? ` in ${unit}` : ""}`}
        aria-describedby={summaryId}
        onKeyDown={onKeyDown}
        onDoubleClick={() => props.onRange(null)}
        style={{ height: props.height }}
        className="min-w-0 rounded-sm"
      />
      <figcaption id={summaryId} className="sr-only">
        {summary} Arrow keys move the cursor, with Shift a zoomed chart; Escape shows everything.
      </figcaption>
      <ChartTable title={title} curves={curves} formatX={formatX} formatY={formatY} />
    </figure>
  );
}

interface ReadoutProps extends ChartProps {
  marks: readonly Mark[];
  data: ReturnType<typeof usePlot>["data"];
  index: number | null;
  at: number | undefined;
  action: ReactNode;
}

/** A small chart has no room for names, and needs them when its curves are more than this. */
const MOST_UNNAMED = 2;
/** With more curves than this their last values are read under the cursor only. */
const MOST_VALUES = 4;

/** The values under the cursor, else the last ones. */
function Readout({ title, unit, curves, marks, data, index, at, action, ...rest }: ReadoutProps) {
  const xs = data[0];
  const reach = ((xs.at(-1) ?? 0) - (xs[0] ?? 0)) / 120;
  const near = at === undefined ? [] : marksNear(marks, at, reach);
  return (
    <div className="flex h-5 items-baseline gap-3 overflow-hidden text-sm whitespace-nowrap">
      <span className="truncate font-medium">
        {title}
        {unit ? <span className="ml-1 font-normal text-faint">{unit}</span> : null}
      </span>
      <span className="num ml-auto flex gap-3" aria-live={index === null ? "off" : "polite"}>
        {near.slice(0, 2).map((mark) => (
          <span
            key={`${mark.kind}${mark.x}`}
            title={mark.text}
            className={clsx(
              "max-w-72 truncate",
              mark.kind === "warning" ? "text-warn" : "text-muted",
            )}
          >
            {mark.text || mark.kind}
          </span>
        ))}
        {at === undefined ? null : <span className="text-faint">{rest.formatX(at)}</span>}
        {curves.map((curve, place) => (
          <span key={curve.id} className="inline-flex items-baseline gap-1">
            <Key curve={curve} />
            {(rest.named ?? curves.length > (rest.compact ? MOST_UNNAMED : 1)) ? (
              <span className="text-muted">{curve.label}</span>
            ) : null}
            {curves.length > MOST_VALUES && index === null ? null : (
              <span>{valueText(data, curve, place, index, rest.formatY)}</span>
            )}
            {smoothingOf(curve, rest.smoothing) > 0 ? (
              <span className="text-faint">smoothed</span>
            ) : null}
          </span>
        ))}
      </span>
      {action}
    </div>
  );
}

/** What the bold line says, under the cursor or at its end. */
function valueText(
  data: ReturnType<typeof usePlot>["data"],
  curve: Curve,
  place: number,
  index: number | null,
  format: (value: number) => string,
): string {
  const column = data[1 + place * 4];
  const value = index === null ? column?.findLast((each) => each !== null) : column?.[index];
  if (value === null || value === undefined) {
    return "–";
  }
  const at = index === null ? curve.x.length - 1 : curve.x.indexOf(data[0][index] ?? Number.NaN);
  const sure = intervalAt(curve, at);
  return sure ? `${format(value)} (${format(sure[0])} to ${format(sure[1])})` : format(value);
}

function Key({ curve }: { curve: Curve }) {
  return (
    <span
      aria-hidden
      className="inline-block w-3.5 self-center border-t-2"
      style={{ borderColor: roleColor(curve.role), borderTopStyle: roleStroke(curve.role) }}
    />
  );
}
