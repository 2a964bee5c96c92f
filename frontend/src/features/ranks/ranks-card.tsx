import { useQuery } from "@tanstack/react-query";
import { runRanks, type ShownRank } from "@/api/ranks";
import { Badge } from "@/components/badge";
import { Card } from "@/components/card";
import { formatNumber } from "@/components/format";

const FATES = {
  alive: { tone: "good", word: "at work" },
  lost: { tone: "bad", word: "lost" },
  ended: { tone: "neutral", word: "ended" },
} as const;

/** What each of a run's processes did of the last step; nothing where one works alone. */
export function RanksCard({ runId, atWork }: { runId: string; atWork: boolean }) {
  const found = useQuery(runRanks(runId, atWork)).data;
  if (!found || found.ranks.length === 0) {
    return null;
  }
  return (
    <Card title={found.step === null ? "Ranks" : `Ranks in step ${found.step}`} flush>
      <div className="overflow-x-auto">
        <table className="w-full text-left">
          <thead className="label">
            <tr className="h-8 [&>th]:px-3 [&>th]:font-normal">
              <th>Rank</th>
              <th className="text-right">Rows</th>
              <th className="text-right">Tokens</th>
              <th className="text-right">Seconds</th>
              <th className="text-right">Waited</th>
              <th className="text-right">Memory, GB</th>
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {found.ranks.map((rank) => (
              <Row key={rank.rank} rank={rank} />
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Row({ rank: { rank, host, fate, said } }: { rank: ShownRank }) {
  const { tone, word } = FATES[fate];
  const cell = (value: number | undefined, digits: number) =>
    value === undefined ? "" : formatNumber(value, digits);
  return (
    <tr className="num h-8 border-t [&>td]:px-3">
      <td className="max-w-60 truncate" title={host}>
        {rank} <span className="text-muted">{host}</span>
      </td>
      <td className="text-right">{cell(said?.num_rows, 6)}</td>
      <td className="text-right">{cell(said?.num_tokens, 6)}</td>
      <td className="text-right">{cell(said?.seconds, 3)}</td>
      <td className="text-right">{cell(said?.waiting_seconds, 3)}</td>
      <td className="text-right">{cell(said?.memory_gb, 3)}</td>
      <td>
        <Badge tone={tone}>{word}</Badge>
      </td>
    </tr>
  );
}
