import type { CheckReport } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount, formatPlural } from "@/components/format";
import { type EvaluationPlan, numItemsOf, variantsOf } from "@/features/evaluate/plan";
import { Toggles } from "@/features/evaluate/toggles";

interface PlanSummaryProps {
  plan: EvaluationPlan;
  onPlan: (plan: EvaluationPlan) => void;
  check: CheckReport | undefined;
  isStarting: boolean;
  onCancel: () => void;
}

/** Who answers how many items, as the form stands, and the way to start it. */
export function PlanSummary({ plan, onPlan, check, isStarting, onCancel }: PlanSummaryProps) {
  const missing = missingIn(plan);
  const isWrong = check?.verdict === "error";
  return (
    <Card title="What is asked" className="sticky top-0">
      <div className="flex flex-col gap-3">
        {missing ? (
          <p className="text-muted">{missing}</p>
        ) : (
          <Asked plan={plan} numItems={check?.validation?.num_prompts ?? null} />
        )}
        <Toggles plan={plan} onPlan={onPlan} />
        {isWrong ? (
          <p className="text-bad">Something at the fields is wrong; it is told there.</p>
        ) : null}
        <div className="flex gap-2 border-t pt-3">
          <Button
            type="submit"
            look={isWrong || missing ? "plain" : "primary"}
            busy={isStarting}
            disabled={isWrong}
          >
            Start the evaluation
          </Button>
          <Button onClick={onCancel}>Cancel</Button>
        </div>
      </div>
    </Card>
  );
}

function missingIn({ model, inputs }: EvaluationPlan): string {
  if (model && inputs) {
    return "";
  }
  const what = [model ? "" : "a model", inputs ? "" : "a file of labelled items"];
  return `Choose ${what.filter(Boolean).join(" and ")}, or a run above that fills in both.`;
}

interface AskedProps {
  plan: EvaluationPlan;
  /** In the file; null where it is not read yet. */
  numItems: number | null;
}

function Asked({ plan, numItems }: AskedProps) {
  const variants = variantsOf(plan);
  const asked = numItems === null ? null : numItemsOf(plan, numItems);
  return (
    <>
      <p className="num">
        <span className="font-medium">{formatPlural(variants.length, "variant")}</span>
        {asked === null ? null : (
          <>
            {" "}
            on {formatPlural(asked, "item")}:{" "}
            <span className="font-medium">{formatCount(variants.length * asked)}</span> answers
          </>
        )}
      </p>
      <ol className="flex flex-col gap-1">
        {variants.map(({ name, model }) => (
          <li key={name} className="flex min-w-0 justify-between gap-2">
            <span className="shrink-0">{name}</span>
            <span className="truncate text-faint" title={model}>
              {model}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
