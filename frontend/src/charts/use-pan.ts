import { type RefObject, useEffect, useRef } from "react";
import { panned, type Range } from "@/charts/pan";
import { throttled } from "@/charts/throttle";

interface Panning {
  xs: ArrayLike<number>;
  range: Range | null;
  onRange: (range: Range) => void;
}

/** Moves a zoomed chart along: a sideways wheel, Shift and the wheel, or the returned function. */
export function usePan(host: RefObject<HTMLElement | null>, panning: Panning) {
  const latest = useRef(panning);
  const whole = useRef<Range | null>(null);
  const pan = useRef<(share: number) => void>(() => undefined);

  useEffect(() => {
    latest.current = panning;
    const { xs, range } = panning;
    if (range === null && xs.length > 0) {
      whole.current = [xs[0] ?? 0, xs[xs.length - 1] ?? 0];
    }
  });

  useEffect(() => {
    const element = host.current;
    let wanted: Range | null = null;
    const throttle = throttled(
      () => {
        if (wanted) {
          latest.current.onRange(wanted);
        }
        wanted = null;
      },
      () => false,
    );
    pan.current = (share) => {
      const from = wanted ?? latest.current.range;
      if (from && whole.current) {
        wanted = panned(from, share, whole.current);
        throttle.request();
      }
    };
    function onWheel(event: WheelEvent) {
      const by = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (by !== 0 && element && latest.current.range) {
        event.preventDefault();
        pan.current(by / element.clientWidth);
      }
    }
    element?.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      throttle.cancel();
      element?.removeEventListener("wheel", onWheel);
    };
  }, [host]);

  return pan;
}
