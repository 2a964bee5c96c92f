export const REDRAW_MS = 250;

export interface Throttle {
  request: () => void;
  cancel: () => void;
}

/**
 * Runs `draw` at most once every `REDRAW_MS`, and never while `hidden()`; a request made while
 * hidden waits for the next one. The screen shares the GPU with training.
 */
export function throttled(draw: () => void, hidden: () => boolean): Throttle {
  let last = Number.NEGATIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function fire() {
    timer = undefined;
    if (hidden()) {
      return;
    }
    last = performance.now();
    draw();
  }

  return {
    request() {
      if (timer === undefined && !hidden()) {
        timer = setTimeout(fire, Math.max(0, last + REDRAW_MS - performance.now()));
      }
    },
    cancel() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
