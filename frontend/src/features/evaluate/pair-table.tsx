import type { PairComparison } from "@/api/evaluations";
import { Badge } from "@/components/badge";
import { pointsText, variantTitle, verdictText } from "@/features/evaluate/wording";

/** Variants two by two; nobody wins inside the interval. */
export function PairTable({ pairs }: { pairs: readonly PairComparison[] }) {
  return (
    <div className="overflow-x-auto">
      <table className="num w-full">
        <thead>
          <tr className="label h-8 text-left">
            <th className="px-3 font-normal">First minus second</th>
            <th className="px-3 text-right font-normal">Points</th>
            <th className="px-3 text-right font-normal">95 % interval</th>
            <th className="px-3 text-right font-normal">Right alone</th>
            <th className="px-3 font-normal">Verdict</th>
          </tr>
        </thead>
        <tbody>
          {pairs.map((pair) => (
            <tr key={`${pair.first} ${pair.second}`} className="h-8 border-t">
              <th className="px-3 text-left font-normal">
                {variantTitle(pair.first)} <span className="text-faint">minus</span>{" "}
                {variantTitle(pair.second)}
              </th>
              <td className="px-3 text-right">{pointsText(pair.difference)}</td>
              <td className="px-3 text-right whitespace-nowrap">
                {pointsText(pair.interval.low)} to {pointsText(pair.interval.high)}
              </td>
              <td className="px-3 text-right whitespace-nowrap">
                {pair.only_first} and {pair.only_second} of {pair.num_items}
              </td>
              <td className="px-3">
                <Badge tone={pair.better === null ? "neutral" : "good"}>
                  {variantTitle(verdictText(pair))}
                </Badge>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
