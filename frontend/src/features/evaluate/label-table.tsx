import type { VariantReport } from "@/api/evaluations";
import { formatPercent } from "@/components/format";
import { answerTitle } from "@/features/evaluate/wording";

const HEADS = ["Items", "Accuracy %", "Precision %", "F1 %", "Most often taken for"];

interface LabelTableProps {
  variant: VariantReport;
  /** Asks for the answers to the items of a label. */
  onLabel: (label: string) => void;
}

/** One row a label, the worst first. */
export function LabelTable({ variant, onLabel }: LabelTableProps) {
  const met = new Set(variant.per_label.map((score) => score.label));
  const missing = variant.labels.filter((label) => !met.has(label));
  return (
    <section
      aria-label="Labels, worst first"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
      tabIndex={0}
      className="max-h-120 overflow-auto"
    >
      <table className="num w-full">
        <thead className="sticky top-0 bg-surface">
          <tr className="h-8">
            <th className="label px-3 text-left font-normal">Label</th>
            {HEADS.map((head) => (
              <th
                key={head}
                className="label px-2 xl:px-3 text-right font-normal whitespace-nowrap"
              >
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {variant.per_label.map((score) => (
            <tr key={score.label} className="h-7 border-t">
              <th className="max-w-48 truncate px-3 text-left font-medium" title={score.label}>
                <button
                  type="button"
                  className="hover:underline"
                  title={`Wrong answers to items of ${score.label}`}
                  onClick={() => onLabel(score.label)}
                >
                  {score.label}
                </button>
              </th>
              <td className="px-2 text-right xl:px-3">{score.num_items}</td>
              <td className="px-2 text-right xl:px-3">{formatPercent(score.accuracy)}</td>
              <td className="px-2 text-right xl:px-3">{formatPercent(score.precision)}</td>
              <td className="px-2 text-right xl:px-3">{formatPercent(score.f1)}</td>
              <td className="max-w-48 truncate px-3 text-right text-muted">
                {score.confused_with === null
                  ? "–"
                  : `${answerTitle(score.confused_with)} (${score.num_confused})`}
              </td>
            </tr>
          ))}
          {missing.map((label) => (
            <tr key={label} className="h-7 border-t text-muted">
              <th className="max-w-48 truncate px-3 text-left font-normal" title={label}>
                {label}
              </th>
              <td className="px-2 text-right xl:px-3">0</td>
              <td className="px-2 text-right xl:px-3" colSpan={HEADS.length - 1}>
                no item has this label
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
