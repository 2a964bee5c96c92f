import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { pairMap } from "@/api/planning";
import type { ConfigValues, MappedPair } from "@/api/types";
import { Badge } from "@/components/badge";
import { Skeleton } from "@/components/states";
import { roughDuration } from "@/features/models/rough-duration";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { useRested } from "@/features/new-run/use-rested";

const SHOWN = 4;

/** Pairs that fit this machine at the draft's own length, each one click away. */
export function FittingPairs({ block }: { block: string }) {
  const config = useRested(useDraft((draft) => draft.config));
  const length = Number(settingOf(config, `${block}.max_generation_tokens`) ?? 512);
  const map = useQuery(pairMap(config, [length], null));
  const pairs = fittingPairs(map.data?.pairs ?? []).slice(0, SHOWN);
  return (
    <section
      aria-label="Pairs that fit this machine"
      className="flex h-11 min-w-0 items-center gap-2 rounded-lg border bg-surface px-3"
    >
      <h2 className="shrink-0 font-medium">Pairs that fit</h2>
      <div className="flex min-w-0 grow items-center gap-2 overflow-x-auto p-1">
        {map.isPending ? <Skeleton className="h-6 grow" /> : null}
        {map.error ? <span className="text-muted">None can be named yet.</span> : null}
        {map.data && pairs.length === 0 ? (
          <span className="truncate text-muted">
            None at {length} tokens a completion: shorten it, or learn fewer rows at a time.
          </span>
        ) : null}
        {pairs.map((pair) => (
          <PairButton key={`${pair.teacher.name} ${pair.student.name}`} pair={pair} block={block} />
        ))}
      </div>
      <Link to="/map" className="shrink-0 text-accent hover:underline">
        All, by length
      </Link>
    </section>
  );
}

const LONG_SECONDS = 48 * 3600;

/**
 * Those that run: on this machine first, then those that end within two days, then those with room to
 * spare; among equals in the order of the map, the largest teacher first.
 */
export function fittingPairs(pairs: readonly MappedPair[]): MappedPair[] {
  const rank = ({ student, teacher, outlooks: [first] }: MappedPair) =>
    4 * Number(!(student.is_here && teacher.is_here)) +
    2 * Number((first?.seconds ?? 0) > LONG_SECONDS) +
    Number(first?.verdict === "tight");
  return pairs
    .filter(({ outlooks: [first] }) => first && first.verdict !== "does_not_fit")
    .sort((a, b) => rank(a) - rank(b));
}

/** What a pair sets in a config, with what it needs to fit. */
export function settingsOfPair(
  { student, teacher, outlooks }: MappedPair,
  at: number,
): ConfigValues {
  return {
    teacher_model: teacher.name,
    student_model: student.name,
    ...(outlooks[at]?.changes as ConfigValues | undefined),
  };
}

function PairButton({ pair, block }: { pair: MappedPair; block: string }) {
  const set = useDraft((draft) => draft.set);
  const isChosen = useDraft(
    ({ config }) =>
      settingOf(config, `${block}.teacher_model`) === pair.teacher.name &&
      settingOf(config, `${block}.student_model`) === pair.student.name,
  );
  const [outlook] = pair.outlooks;
  const isHere = pair.teacher.is_here && pair.student.is_here;
  return (
    <button
      type="button"
      aria-pressed={isChosen}
      onClick={() => {
        for (const [key, value] of Object.entries(settingsOfPair(pair, 0))) {
          set(`${block}.${key}`, value);
        }
      }}
      className="num flex h-7 shrink-0 items-center gap-1.5 rounded-md border border-line-strong px-2 text-sm hover:bg-hover aria-pressed:border-accent aria-pressed:bg-accent-soft"
    >
      {pair.teacher.name} <span className="text-muted">teaches</span> {pair.student.name}
      {isHere ? <Badge tone="good">on disk</Badge> : null}
      <span className="text-muted">{roughDuration(outlook?.seconds ?? 0)}</span>
    </button>
  );
}
