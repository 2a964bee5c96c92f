import clsx from "clsx";
import type { EvaluationReport, VariantReport } from "@/api/evaluations";
import { formatNumber, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { speedUp, variantTitle } from "@/features/evaluate/wording";

interface VariantTableProps {
  report: EvaluationReport;
  chosen: string;
  onChoose: (variant: string) => void;
}

const HEADS = [
  "Accuracy %",
  "95 % interval",
  "Macro F1 %",
  "Readable %",
  "As teacher %",
  "Tokens an answer",
  "Seconds an answer",
  "Speed",
];

/** Every variant in a row; the pressed one is shown in detail below. */
export function VariantTable({ report, chosen, onChoose }: VariantTableProps) {
  const teacher = report.variants.find((variant) => variant.name === report.teacher);
  return (
    <div className="overflow-x-auto">
      <table className="num w-full">
        <thead>
          <tr className="h-8">
            <th className="label px-3 text-left font-normal">Variant</th>
            {HEADS.map((head) => (
              <th key={head} className="label px-2 text-right font-normal xl:px-3">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {report.variants.map((variant) => (
            <tr
              key={variant.name}
              className={clsx("h-8 border-t", variant.name === chosen && "bg-selected")}
            >
              <th className="px-3 text-left font-medium whitespace-nowrap">
                <button
                  type="button"
                  aria-pressed={variant.name === chosen}
                  onClick={() => onChoose(variant.name)}
                  className="hover:underline"
                >
                  {variantTitle(variant.name)}
                </button>
                {variant === teacher ? (
                  <span className="ml-2 font-normal text-faint">teacher</span>
                ) : null}
              </th>
              {cells(variant, teacher).map((cell, place) => (
                <td key={HEADS[place]} className="px-2 text-right whitespace-nowrap xl:px-3">
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function cells(variant: VariantReport, teacher: VariantReport | undefined): string[] {
  const faster =
    variant === teacher ? null : speedUp(variant.seconds_per_answer, teacher?.seconds_per_answer);
  return [
    formatPercent(variant.accuracy),
    intervalText(variant.interval, "share") || "–",
    formatPercent(variant.macro_f1),
    formatPercent(variant.parse_rate),
    formatPercent(variant.teacher_agreement),
    variant.tokens_per_answer.toFixed(1),
    formatNumber(variant.seconds_per_answer, 3),
    faster === null ? "–" : `${formatNumber(faster, 3)}×`,
  ];
}
