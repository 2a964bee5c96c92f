import type { KeyboardEvent, RefObject } from "react";
import type uPlot from "uplot";

const JUMPS: Record<string, number> = {
  ArrowLeft: -1,
  ArrowRight: 1,
  PageUp: -10,
  PageDown: 10,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

const PAN_SHARE = 0.25;

/** Arrow keys move a chart's cursor, with Shift what it shows; Escape shows everything again. */
export function useKeyboardCursor(
  plot: RefObject<uPlot | null>,
  pan: RefObject<(share: number) => void>,
  onEscape: () => void,
) {
  return (event: KeyboardEvent) => {
    const chart = plot.current;
    if (!chart) {
      return;
    }
    if (event.key === "Escape") {
      chart.setCursor({ left: -10, top: -10 });
      onEscape();
      return;
    }
    const jump = JUMPS[event.key];
    if (jump === undefined) {
      return;
    }
    event.preventDefault();
    if (event.shiftKey) {
      pan.current(Math.sign(jump) * PAN_SHARE);
      return;
    }
    const xs = chart.data[0];
    const index = Math.min(Math.max((chart.cursor.idx ?? 0) + jump, 0), xs.length - 1);
    const x = xs[index];
    if (x !== undefined) {
      chart.setCursor({ left: chart.valToPos(x, "x"), top: 1 });
    }
  };
}
