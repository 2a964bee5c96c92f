import type { PairComparison, VariantReport } from "@/api/evaluations";
import { Badge } from "@/components/badge";
import { Figure } from "@/components/card";
import { formatNumber, formatPercent, formatPlural } from "@/components/format";
import { intervalText } from "@/components/interval";
import { leadsOf } from "@/features/evaluate/pairs";
import { pointsText, variantTitle } from "@/features/evaluate/wording";

interface HeadlineProps {
  variant: VariantReport;
  pairs: readonly PairComparison[];
  numItems: number;
}

const MOST_LEADS = 3;

/** The chosen variant's figure first, with its interval, then what it gains over the others. */
export function Headline({ variant, pairs, numItems }: HeadlineProps) {
  const leads = leadsOf(variant.name, pairs).slice(0, MOST_LEADS);
  const isGraded = variant.accuracy !== null;
  const share = isGraded ? variant.accuracy : variant.teacher_agreement;
  const sure = isGraded ? intervalText(variant.interval, "share") : "";
  return (
    <section
      aria-label="Headline"
      className="flex flex-wrap items-start gap-x-10 gap-y-4 rounded-lg border bg-surface px-4 py-3"
    >
      <div className="min-w-0">
        <h2 className="truncate text-muted">
          <span className="font-medium text-ink">{variantTitle(variant.name)}</span>{" "}
          {isGraded ? "is right" : "says what the teacher says"}
        </h2>
        <p className="num text-2xl font-semibold">
          {formatPercent(share)} <span className="text-lg font-normal text-faint">%</span>
        </p>
        <p className="num text-sm text-muted">
          {sure ? `${sure} with 95 %, ` : ""}on {formatPlural(numItems, "item")}
        </p>
      </div>
      {leads.length > 0 ? (
        <ul className="flex flex-col gap-1" aria-label="Against the others">
          {leads.map(({ over, difference, low, high, isShown }) => (
            <li key={over} className="num flex flex-wrap items-center gap-x-2">
              <Badge tone={isShown ? (difference > 0 ? "good" : "bad") : "neutral"}>
                {pointsText(difference)} points
              </Badge>
              <span className="text-sm text-muted">
                {pointsText(low)} to {pointsText(high)}
              </span>
              against {variantTitle(over)}
              {isShown ? null : <span className="text-faint">no difference shown</span>}
            </li>
          ))}
        </ul>
      ) : null}
      <div className="ml-auto hidden gap-x-8 xl:flex">
        <Figure label="Readable" value={formatPercent(variant.parse_rate)} unit="%" />
        <Figure label="Tokens an answer" value={variant.tokens_per_answer.toFixed(1)} />
        <Figure
          label="Seconds an answer"
          value={formatNumber(variant.seconds_per_answer, 3)}
          unit="s"
        />
      </div>
    </section>
  );
}
