import type uPlot from "uplot";
import { resolveColor } from "@/charts/colors";

export type MarkKind = "checkpoint" | "evaluation" | "warning" | "paused" | "resumed" | "end";

export interface Mark {
  kind: MarkKind;
  x: number;
  text: string;
}

const MARK_TOKENS: Record<MarkKind, string> = {
  checkpoint: "var(--color-muted)",
  evaluation: "var(--color-student)",
  warning: "var(--color-warn)",
  paused: "var(--color-muted)",
  resumed: "var(--color-muted)",
  end: "var(--color-muted)",
};

/** Marks that cross the whole plot; the others stand on the axis only. */
const TALL: ReadonlySet<MarkKind> = new Set(["warning", "paused", "resumed"]);

/** Draws marks on the x axis: a square for a checkpoint, a diamond for an evaluation, lines. */
export function marksPlugin(marks: () => readonly Mark[]): uPlot.Plugin {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        for (const mark of marks()) {
          const x = plot.valToPos(mark.x, "x", true);
          if (x >= bbox.left && x <= bbox.left + bbox.width) {
            drawMark(ctx, mark.kind, x, bbox);
          }
        }
        ctx.restore();
      },
    },
  };
}

function drawMark(
  ctx: CanvasRenderingContext2D,
  kind: MarkKind,
  x: number,
  bbox: uPlot.BBox,
): void {
  const bottom = bbox.top + bbox.height;
  const unit = devicePixelRatio;
  const color = resolveColor(MARK_TOKENS[kind]);
  ctx.fillStyle = color;
  ctx.strokeStyle = color;
  if (TALL.has(kind)) {
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = unit;
    ctx.setLineDash(kind === "warning" ? [] : [3 * unit, 3 * unit]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    ctx.globalAlpha = 1;
  }
  ctx.beginPath();
  if (kind === "evaluation") {
    ctx.moveTo(x, bottom - 4 * unit);
    ctx.lineTo(x + 3.5 * unit, bottom);
    ctx.lineTo(x, bottom + 4 * unit);
    ctx.lineTo(x - 3.5 * unit, bottom);
  } else if (kind === "warning") {
    ctx.moveTo(x, bottom - 5 * unit);
    ctx.lineTo(x + 4 * unit, bottom + 3 * unit);
    ctx.lineTo(x - 4 * unit, bottom + 3 * unit);
  } else {
    ctx.rect(x - 1.5 * unit, bottom - 3 * unit, 3 * unit, 6 * unit);
  }
  ctx.fill();
}

/** The marks near an x, for the readout under the cursor. */
export function marksNear(marks: readonly Mark[], x: number, reach: number): Mark[] {
  return marks.filter((mark) => Math.abs(mark.x - x) <= reach);
}
