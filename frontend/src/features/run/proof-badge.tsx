import { ShieldCheck, ShieldQuestion, ShieldX } from "lucide-react";
import type { Check } from "@/api/types";
import { Badge } from "@/components/badge";
import { formatNumber } from "@/components/format";
import { Popover } from "@/components/popover";

interface ProofBadgeProps {
  passed: boolean | null;
  checks: readonly Check[];
  /** A run that is over proves nothing any more. */
  isOver: boolean;
}

/** Whether the run proved that it can learn; opens the evidence. */
export function ProofBadge({ passed, checks, isOver }: ProofBadgeProps) {
  if (passed === null) {
    return (
      <Badge>
        <ShieldQuestion aria-hidden />
        {isOver ? "Without proof of learning" : "Proof of learning not run yet"}
      </Badge>
    );
  }
  return (
    <Popover
      label="Proof of learning"
      align="end"
      trigger={
        <button type="button" className="flex rounded-sm hover:brightness-110">
          <Badge tone={passed ? "good" : "bad"}>
            {passed ? <ShieldCheck aria-hidden /> : <ShieldX aria-hidden />}
            {passed
              ? `Proof of learning passed, ${checks.length} checks`
              : "Proof of learning failed"}
          </Badge>
        </button>
      }
    >
      <div className="w-136 max-w-full">
        <ProofTable checks={checks} />
      </div>
    </Popover>
  );
}

const SIGNS = { above: "> ", at_most: "≤ " };

export function ProofTable({ checks }: { checks: readonly Check[] }) {
  return (
    <table className="w-full text-left">
      <caption className="sr-only">What the proof of learning measured</caption>
      <thead className="label">
        <tr className="h-7">
          <th className="font-normal">Claim</th>
          <th className="pl-3 text-right font-normal">Measured</th>
          <th className="pl-3 text-right font-normal">Limit</th>
          <th className="pl-3 font-normal">Result</th>
        </tr>
      </thead>
      <tbody>
        {checks.map((check) => (
          <tr key={check.name} className="border-t align-top">
            <td className="py-1.5">
              {check.claim}
              {check.advice && <p className="text-bad">{check.advice}</p>}
            </td>
            <td className="num py-1.5 pl-3 text-right whitespace-nowrap">
              {check.measured === null ? "no number" : formatNumber(check.measured, 3)}
              {Object.entries(check.figures).map(([name, value]) => (
                <p key={name} className="text-muted">
                  {name} {formatNumber(value, 3)}
                </p>
              ))}
            </td>
            <td className="num py-1.5 pl-3 text-right whitespace-nowrap text-muted">
              {check.bound ? SIGNS[check.bound] : ""}
              {formatNumber(check.limit, 3)}
            </td>
            <td className={`py-1.5 pl-3 ${check.passed ? "text-good" : "text-bad"}`}>
              {check.passed ? "passed" : "failed"}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
