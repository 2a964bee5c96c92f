import clsx from "clsx";
import type { EvaluationReport, VariantReport } from "@/api/evaluations";
import { formatNumber, formatPercent } from "@/components/format";
import { intervalText } from "@/components/interval";
import { IntervalBar } from "@/components/interval-bar";
import { speedUp, variantTitle } from "@/features/evaluate/wording";

interface VariantTableProps {
  report: EvaluationReport;
  chosen: string;
  onChoose: (variant: string) => void;
}

const NOTHING = "–";

interface Column {
  head: string;
  text: (variant: VariantReport, teacher: VariantReport | undefined) => string;
}

const ACCURACY = "Accuracy %";
const INTERVAL = "95 % interval";

const COLUMNS: readonly Column[] = [
  { head: ACCURACY, text: ({ accuracy }) => formatPercent(accuracy) },
  { head: INTERVAL, text: ({ interval }) => intervalText(interval, "share") || NOTHING },
  { head: "Macro F1 %", text: ({ macro_f1 }) => formatPercent(macro_f1) },
  { head: "Readable %", text: ({ parse_rate }) => formatPercent(parse_rate) },
  { head: "As teacher %", text: ({ teacher_agreement }) => formatPercent(teacher_agreement) },
  { head: "Tokens an answer", text: ({ tokens_per_answer }) => tokens_per_answer.toFixed(1) },
  {
    head: "Seconds an answer",
    text: ({ seconds_per_answer }) => formatNumber(seconds_per_answer, 3),
  },
  { head: "Speed", text: speedText },
];

function speedText(variant: VariantReport, teacher: VariantReport | undefined): string {
  const faster =
    variant === teacher ? null : speedUp(variant.seconds_per_answer, teacher?.seconds_per_answer);
  return faster === null ? NOTHING : `${formatNumber(faster, 3)}×`;
}

/** Every variant in a row; the pressed one is shown in detail. A column nobody has a value in is left out. */
export function VariantTable({ report, chosen, onChoose }: VariantTableProps) {
  const teacher = report.variants.find((variant) => variant.name === report.teacher);
  const columns = COLUMNS.filter(({ text }) =>
    report.variants.some((variant) => text(variant, teacher) !== NOTHING),
  );
  return (
    <div className="overflow-x-auto">
      <table className="num w-full">
        <thead>
          <tr className="h-8">
            <th className="label px-3 text-left font-normal">Variant</th>
            {columns.map(({ head }) => (
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
              {columns.map(({ head, text }) => (
                <td
                  key={head}
                  className={clsx(
                    "px-2 text-right whitespace-nowrap xl:px-3",
                    head === ACCURACY && "font-medium",
                  )}
                >
                  <span className="inline-flex items-center gap-3">
                    {head === INTERVAL ? (
                      <Bar variant={variant} isChosen={variant.name === chosen} />
                    ) : null}
                    <span className={clsx(head === INTERVAL && "min-w-[5.5rem]")}>
                      {text(variant, teacher)}
                    </span>
                  </span>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The interval as a line from none to all, so that rows are compared by eye. */
function Bar({ variant, isChosen }: { variant: VariantReport; isChosen: boolean }) {
  const { accuracy, interval, name } = variant;
  return accuracy === null || !interval ? null : (
    <span className="hidden w-28 xl:block">
      <IntervalBar
        share={accuracy}
        low={interval.low}
        high={interval.high}
        rules={[0.5]}
        isAmongBest={isChosen}
        label={`${variantTitle(name)}: ${formatPercent(accuracy)} %`}
      />
    </span>
  );
}
