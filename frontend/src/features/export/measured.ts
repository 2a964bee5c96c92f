import type { Difference, Figure } from "@/api/types";
import { formatNumber, formatPercent } from "@/components/format";
import { withInterval } from "@/components/interval";

export interface MeasuredRow {
  name: string;
  base: string;
  adapter: string;
  files: string;
}

/** What was measured of the base model, with its adapter, and of the files that left. */
export function measuredRows(of: Difference): MeasuredRow[] {
  const loss = {
    name: "Loss, nats a token",
    base: nats(of.base_loss),
    adapter: nats(of.adapter_loss),
    files: nats(of.export_loss),
  };
  if (of.accuracy === null) {
    return [loss];
  }
  const { base, adapter, export: files } = of.accuracy;
  return [
    loss,
    { name: "Accuracy", base: share(base), adapter: share(adapter), files: share(files) },
  ];
}

/** The distance, the share that is kept, and what it was measured on. */
export function measuredSentence(of: Difference): string {
  const kept =
    of.kept_share === null
      ? "The adapter gains nothing here that is outside its interval."
      : `Kept of the adapter's gain: ${share(of.kept_share)}.`;
  return `KL(adapter || export): ${nats(of.kl)} nats a token. ${kept} Measured on ${of.source}`;
}

function nats(figure: Figure): string {
  return withInterval(formatNumber(figure.value), figure);
}

function share(figure: Figure): string {
  return withInterval(`${formatPercent(figure.value)} %`, figure, "share");
}
