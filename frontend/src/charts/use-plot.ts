import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import { useColorScheme } from "@/charts/colors";
import { alignCurves, type Curve } from "@/charts/curves";
import type { Mark } from "@/charts/marks";
import { plotOptions } from "@/charts/plot-options";
import { throttled } from "@/charts/throttle";

interface PlotInput {
  curves: readonly Curve[];
  marks: readonly Mark[];
  smoothing: number | null;
  log: boolean;
  height: number;
  compact?: boolean;
  syncKey: string;
  range: readonly [number, number] | null;
  onRange: (range: readonly [number, number]) => void;
  onCursor: (index: number | null) => void;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
}

/** Keeps one uPlot in a host element: made anew when its shape changes, else only redrawn. */
export function usePlot(input: PlotInput) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(input);
  const scheme = useColorScheme();
  const { curves, smoothing, log, height, compact = false, syncKey } = input;
  const data = useMemo(() => alignCurves(curves, smoothing), [curves, smoothing]);
  const current = useRef(data);
  const redraw = useRef<() => void>(() => undefined);
  const shape = curves.map((curve) => `${curve.id}:${curve.role}`).join(" ");

  useEffect(() => {
    latest.current = input;
    current.current = data;
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: what is drawn, not what is read here
  useEffect(() => redraw.current(), [data, input.marks, input.range, input.formatX, input.formatY]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` and `scheme` stand for what the options read
  useEffect(() => {
    const element = host.current;
    if (!element) {
      return;
    }
    const now = () => latest.current;
    const chart = new uPlot(
      plotOptions({
        curves: now().curves,
        width: element.clientWidth,
        height,
        log,
        compact,
        syncKey,
        formatX: (value) => now().formatX(value),
        formatY: (value) => now().formatY(value),
        marks: () => now().marks,
        range: () => now().range,
        onCursor: (index) => now().onCursor(index),
        onSelect: (from, to) => now().onRange([from, to]),
      }),
      current.current,
      element,
    );
    plot.current = chart;
    const stop = keepDrawn(chart, element, () => current.current, redraw);
    return () => {
      stop();
      chart.destroy();
      plot.current = null;
    };
  }, [shape, log, height, compact, syncKey, scheme]);

  return { host, plot, data };
}

/** Redraws on new data, a new width and a page that is shown again; never while out of sight. */
function keepDrawn(
  chart: uPlot,
  element: HTMLElement,
  data: () => uPlot.AlignedData,
  redraw: { current: () => void },
): () => void {
  let inView = true;
  const hidden = () => document.hidden || !inView;
  const throttle = throttled(() => chart.setData(data()), hidden);
  redraw.current = throttle.request;
  const resize = new ResizeObserver(() => {
    if (element.clientWidth > 0 && element.clientWidth !== chart.width) {
      chart.setSize({ width: element.clientWidth, height: chart.height });
    }
  });
  resize.observe(element);
  const sight = new IntersectionObserver(([entry]) => {
    inView = entry?.isIntersecting ?? true;
    throttle.request();
  });
  sight.observe(element);
  document.addEventListener("visibilitychange", throttle.request);
  return () => {
    throttle.cancel();
    resize.disconnect();
    sight.disconnect();
    document.removeEventListener("visibilitychange", throttle.request);
    redraw.current = () => undefined;
  };
}
