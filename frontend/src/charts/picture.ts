import type uPlot from "uplot";
import { resolveColor } from "@/charts/colors";
import { download } from "@/components/download";

const HEAD_PX = 28;

/** Saves what a chart shows as a PNG on the colour of the page, its title above. */
export function savePicture(plot: uPlot, title: string): void {
  const source = plot.ctx.canvas;
  const scale = window.devicePixelRatio;
  const canvas = document.createElement("canvas");
  canvas.width = source.width;
  canvas.height = source.height + HEAD_PX * scale;
  const context = canvas.getContext("2d");
  if (!context) {
    return;
  }
  context.fillStyle = resolveColor("var(--color-surface)");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = resolveColor("var(--color-ink)");
  context.font = `${13 * scale}px ${getComputedStyle(document.body).fontFamily}`;
  context.fillText(title, 12 * scale, 19 * scale);
  context.drawImage(source, 0, HEAD_PX * scale);
  canvas.toBlob((picture) => {
    if (picture) {
      download(`${title}.png`, picture);
    }
  });
}
