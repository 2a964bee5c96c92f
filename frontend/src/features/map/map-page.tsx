import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { pairMap, presets } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { MappedPair, Outlook, PairMap, Preset } from "@/api/types";
import { formatCount, formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { MapFilterBar } from "@/features/map/map-filter";
import { MapTable } from "@/features/map/map-table";
import { baseOf, basesOf, type MapFilter, rowsOf, settingsOfCell } from "@/features/map/rows";
import { plain, useDraft } from "@/features/new-run/draft";

const LENGTHS = [256, 512, 1024, 2048, 4096];

/** What this machine can do: pairs by length of completions, each with hours where it fits. */
export function MapPage() {
  const known = useQuery(presets());
  const bases = basesOf(known.data ?? []);
  const [name, setName] = useState<string | null>(null);
  const base = baseOf(bases, name);
  if (known.isPending) {
    return <SkeletonRows count={14} />;
  }
  if (!base) {
    const { title, reason } = describeError(known.error);
    return <ErrorState title={title} reason={reason} retry={() => void known.refetch()} />;
  }
  return (
    <Mapped
      base={base.preset}
      block={base.block}
      names={bases.map(({ preset }) => ({ value: preset.name, label: preset.title }))}
      onBase={setName}
    />
  );
}

interface MappedProps {
  base: Preset;
  block: string;
  names: readonly { value: string; label: string }[];
  onBase: (name: string) => void;
}

function Mapped({ base, block, names, onBase }: MappedProps) {
  const [memoryGb, setMemoryGb] = useState<number | null>(null);
  const [filter, setFilter] = useState<MapFilter>({ words: "", family: "", fits: true });
  const map = useQuery(pairMap(plain(base.config), LENGTHS, memoryGb));
  const { take, set } = useDraft();
  const navigate = useNavigate();
  const start = (pair: MappedPair, length: number, outlook: Outlook) => {
    take(base);
    for (const [key, value] of Object.entries(settingsOfCell(pair, length, outlook))) {
      set(`${block}.${key}`, value);
    }
    void navigate({ to: "/new/$step", params: { step: "models" } });
  };
  const pairs = map.data ? rowsOf(map.data, filter) : [];
  return (
    <div className="flex h-full flex-col">
      <PageHeader title={titleOf(map.data)} detail={map.data ? detailOf(map.data) : null} />
      <MapFilterBar
        base={{ value: base.name, choices: names, onChange: onBase }}
        memory={{ value: memoryGb, onChange: setMemoryGb }}
        families={[...new Set(map.data?.pairs.map(({ teacher }) => teacher.family))].sort()}
        filter={filter}
        change={setFilter}
      />
      <div className="min-h-0 grow overflow-auto px-4 pb-4">
        {map.isPending ? (
          <SkeletonRows count={14} />
        ) : map.error ? (
          <ErrorState
            title={describeError(map.error).title}
            reason={describeError(map.error).reason}
            retry={() => void map.refetch()}
          />
        ) : pairs.length === 0 ? (
          <EmptyState title="No pairs match">
            Change the filter, or take the settings of another preset.
          </EmptyState>
        ) : (
          <MapTable lengths={map.data.lengths} pairs={pairs} onStart={start} />
        )}
      </div>
    </div>
  );
}

function titleOf(map: PairMap | undefined): string {
  return map && map.chip !== "cpu" ? "What this Mac can do" : "What this machine can do";
}

function detailOf(map: PairMap): string {
  return `${map.chip}, ${formatNumber(map.limit_gb, 3)} GB for a run; hours are those of ${formatCount(map.num_steps)} steps of ${map.rows_per_step} rows`;
}
