import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { ArrowDown, ArrowUp } from "lucide-react";
import type { ReactNode } from "react";
import type { PromptSet } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { formatAgo, formatBytes, formatCount, formatDuration } from "@/components/format";
import { ForgetSet } from "@/features/data/forget-set";
import { setName } from "@/features/data/set-name";
import { nextSetSort, type SetKey, stateOf } from "@/features/data/set-rows";

interface SetTableProps {
  sets: readonly PromptSet[];
  /** Every set of the workspace, from which those of one name are told apart. */
  all: readonly PromptSet[];
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
  onCheck: (set: PromptSet) => void;
}

const WIDE = "max-xl:hidden";

/** Every set in a row: what it is, whether it can be used, and who uses it. */
export function SetTable({ sets, all, sort, onSort, onCheck }: SetTableProps) {
  const head = (key: SetKey, label: string, className?: string) => (
    <Head
      {...{ label, className }}
      mark={markOf(sort, key)}
      onPress={() => onSort(nextSetSort(sort, key))}
    />
  );
  return (
    <table aria-label="Sets" className="w-full table-fixed text-left">
      <thead className="label">
        <tr className="h-8 border-b">
          {head("name", "Name", "pl-3")}
          {head("state", "State", "w-32")}
          {head("lines", "Lines", RIGHT)}
          {head("answers", "Answers", clsx(RIGHT, WIDE))}
          {head("duplicates", "Duplicates", "w-44 text-right")}
          {head("size", "Size", RIGHT)}
          {head("used", "Used by", RIGHT)}
          {head("added", "Added", clsx("w-28 text-right", WIDE))}
          <th scope="col" className="w-11">
            <span className="sr-only">Remove</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {sets.map((set) => (
          <SetRow key={set.id} set={set} all={all} onCheck={() => onCheck(set)} />
        ))}
      </tbody>
    </table>
  );
}

const RIGHT = "w-20 text-right";

type Mark = "rising" | "falling" | null;

function markOf(sort: string | undefined, key: SetKey): Mark {
  return sort === key ? "rising" : sort === `-${key}` ? "falling" : null;
}

interface HeadProps {
  label: string;
  mark: Mark;
  className: string | undefined;
  onPress: () => void;
}

function Head({ label, mark, className, onPress }: HeadProps) {
  return (
    <th
      scope="col"
      className={clsx("px-2 font-normal", className)}
      aria-sort={mark === null ? "none" : mark === "rising" ? "ascending" : "descending"}
    >
      <button
        type="button"
        onClick={onPress}
        className="inline-flex items-center gap-1 hover:text-ink"
      >
        {label}
        {mark === "rising" ? <ArrowUp className="size-3" aria-hidden /> : null}
        {mark === "falling" ? <ArrowDown className="size-3" aria-hidden /> : null}
      </button>
    </th>
  );
}

interface SetRowProps {
  set: PromptSet;
  all: readonly PromptSet[];
  onCheck: () => void;
}

function SetRow({ set, all, onCheck }: SetRowProps) {
  const name = setName(set, all);
  const { look } = set;
  return (
    <tr className="num h-9 border-t first:border-t-0 hover:bg-hover">
      <th scope="row" className="py-0 pr-2 pl-3 font-normal">
        <span className="flex items-center gap-2">
          <Link
            to="/data"
            search={(now) => ({ ...now, set: set.id })}
            title={set.path}
            className="truncate font-medium hover:underline"
          >
            {name}
          </Link>
          <span className="shrink-0 text-sm text-faint">
            {set.kind}
            {set.origin === "shipped" ? ", shipped" : ""}
          </span>
        </span>
      </th>
      <td className="px-2">
        <State set={set} onCheck={onCheck} />
      </td>
      <Cell>{look && formatCount(look.num_lines)}</Cell>
      <Cell className={WIDE}>
        {look && (look.num_answers > 0 ? formatCount(look.num_answers) : "none")}
      </Cell>
      <td className="truncate px-2 text-right">
        <Duplicates set={set} all={all} />
      </td>
      <Cell>{formatBytes(set.num_bytes)}</Cell>
      <Cell>
        {set.used_by.length > 0 ? (
          <span title={set.used_by_names.join(", ")}>
            {formatCount(set.used_by.length)} {set.used_by.length === 1 ? "run" : "runs"}
          </span>
        ) : null}
      </Cell>
      <Cell className={clsx("text-muted", WIDE)}>
        {set.origin === "shipped" ? null : formatAgo(set.added)}
      </Cell>
      <td className="px-2 text-right">
        {set.origin === "shipped" ? null : <ForgetSet set={set} name={name} />}
      </td>
    </tr>
  );
}

function Cell({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <td className={clsx("px-2 text-right whitespace-nowrap", className)}>
      {children ?? <span className="text-faint">–</span>}
    </td>
  );
}

function State({ set, onCheck }: { set: PromptSet; onCheck: () => void }) {
  const { tone, word, why } = stateOf(set);
  if (set.is_here && set.look_state === "unseen") {
    return (
      <Button size="sm" aria-label={`Check ${set.name}`} onClick={onCheck}>
        Check
      </Button>
    );
  }
  const since = set.looking_since;
  return (
    <span title={why || undefined}>
      <Badge tone={tone}>
        {word}
        {since ? ` ${formatDuration(Math.max(0, Date.now() / 1000 - since))}` : ""}
      </Badge>
    </span>
  );
}

/** Lines that another line repeats, and the other set that holds the same. */
function Duplicates({ set, all }: { set: PromptSet; all: readonly PromptSet[] }) {
  const twin = all.find(({ id }) => id === set.same_as?.[0]);
  const count = set.look?.num_duplicates ?? 0;
  if (!twin) {
    return <span className={count ? "" : "text-faint"}>{!set.look ? "–" : count || "none"}</span>;
  }
  const same = `same as ${setName(twin, all)}`;
  return (
    <span className="text-warn" title={`The content is the same as that of ${setName(twin, all)}.`}>
      {count > 0 ? `${formatCount(count)}, ` : ""}
      {same}
    </span>
  );
}
