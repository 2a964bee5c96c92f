import clsx from "clsx";
import { HardDrive } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import type { MappedPair, Outlook } from "@/api/types";
import { formatBytes, formatNumber } from "@/components/format";
import { savingsOf } from "@/features/map/rows";
import { nextInGrid } from "@/features/models/grid-keys";
import { roughDuration } from "@/features/models/rough-duration";

interface MapTableProps {
  lengths: readonly number[];
  pairs: readonly MappedPair[];
  onStart: (pair: MappedPair, length: number, outlook: Outlook) => void;
}

const ROWS_PER_PAGE = 10;

/** Pairs by length of completions; arrows move among the cells, Enter plans a run with one. */
export function MapTable({ lengths, pairs, onStart }: MapTableProps) {
  const [moved, setMoved] = useState(0);
  const at = Math.min(moved, pairs.length * lengths.length - 1);
  const onKeyDown = (event: KeyboardEvent) => {
    const count = pairs.length * lengths.length;
    const next = nextInGrid(event.key, at, count, lengths.length, ROWS_PER_PAGE);
    if (next !== null) {
      event.preventDefault();
      setMoved(next);
      document.getElementById(cellId(next))?.focus();
    }
  };
  return (
    <table aria-label="Pairs by completion length" className="w-full text-left">
      <thead className="label sticky top-0 z-10 bg-surface">
        <tr className="h-8">
          <th scope="col" className="px-3 font-normal">
            Teacher
          </th>
          <th scope="col" className="px-3 font-normal">
            Student
          </th>
          {lengths.map((length) => (
            <th key={length} scope="col" className="num w-28 px-3 text-right font-normal">
              {length.toLocaleString("en-US")} tokens
            </th>
          ))}
        </tr>
      </thead>
      <tbody onKeyDown={onKeyDown}>
        {pairs.map((pair, row) => (
          <tr key={`${pair.teacher.name} ${pair.student.name}`} className="h-12 border-t">
            <ModelCell model={pair.teacher} isHead />
            <ModelCell model={pair.student} />
            {pair.outlooks.map((outlook, column) => {
              const index = row * lengths.length + column;
              const length = lengths[column] ?? 0;
              return (
                <OutlookCell
                  key={length}
                  id={cellId(index)}
                  outlook={outlook}
                  isCurrent={index === at}
                  onFocus={() => setMoved(index)}
                  onStart={() => onStart(pair, length, outlook)}
                />
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function cellId(index: number): string {
  return `map-cell-${index}`;
}

function ModelCell({ model, isHead = false }: { model: MappedPair["teacher"]; isHead?: boolean }) {
  const Cell = isHead ? "th" : "td";
  return (
    <Cell scope={isHead ? "row" : undefined} className="num px-3 font-normal">
      <div className={clsx("truncate", isHead && "font-medium")} title={model.name}>
        {model.alias}
      </div>
      <div className="flex items-center gap-1.5 text-sm whitespace-nowrap text-muted">
        {model.precision}, {formatBytes(model.weights_gb * 1e9)}
        {model.is_here ? (
          <HardDrive className="size-3 shrink-0 text-good" role="img" aria-label="on disk" />
        ) : null}
      </div>
    </Cell>
  );
}

const LOOKS: Readonly<Record<Outlook["verdict"], { word: string; look: string }>> = {
  fits: { word: "fits", look: "bg-good-soft text-good hover:outline-1 hover:outline-good" },
  tight: { word: "tight", look: "bg-warn-soft text-warn hover:outline-1 hover:outline-warn" },
  does_not_fit: { word: "no", look: "text-faint" },
};

interface OutlookCellProps {
  id: string;
  outlook: Outlook;
  isCurrent: boolean;
  onFocus: () => void;
  onStart: () => void;
}

function OutlookCell({ id, outlook, isCurrent, onFocus, onStart }: OutlookCellProps) {
  const { word, look } = LOOKS[outlook.verdict];
  const isFitting = outlook.verdict !== "does_not_fit";
  const savings = savingsOf(outlook);
  const needs = `${formatNumber(outlook.needed_gb, 3)} GB`;
  return (
    <td className="p-0.5">
      <button
        id={id}
        type="button"
        tabIndex={isCurrent ? 0 : -1}
        aria-disabled={!isFitting}
        onFocus={onFocus}
        onClick={isFitting ? onStart : undefined}
        title={savings ? `${needs}; ${savings}` : needs}
        className={clsx("num h-11 w-full rounded-sm px-2 text-right whitespace-nowrap", look)}
      >
        {isFitting ? (
          <>
            <span className="text-sm">
              {word}
              {savings ? "*" : ""}
            </span>{" "}
            <span className="font-medium">{roughDuration(outlook.seconds ?? 0)}</span>
          </>
        ) : (
          <span className="text-sm">
            {word}, {needs}
          </span>
        )}
      </button>
    </td>
  );
}
