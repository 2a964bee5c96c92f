import clsx from "clsx";
import type { VariantReport } from "@/api/evaluations";
import { shade } from "@/features/evaluate/wording";

/** How deep the palest and the deepest cell are, in percent: text is read on both. */
const PALEST = 12;
const DEEPEST = 50;

interface ConfusionMapProps {
  variant: VariantReport;
  /** Asks for the answers that a cell counts; null is a reply without any label. */
  onCell: (gold: string, predicted: string | null) => void;
}

/** Gold labels down, answers across; a table in which each cell is as deep as its share of the row. */
export function ConfusionMap({ variant, onCell }: ConfusionMapProps) {
  const columns = [...variant.labels, "unreadable"];
  return (
    <section
      aria-label="Confusions"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
      tabIndex={0}
      className="overflow-auto p-3"
    >
      <p id="confusion-says" className="pb-2 text-sm text-muted">
        Expected label down, answer across; a number counts items, and shows them when pressed.
      </p>
      <table
        aria-describedby="confusion-says"
        aria-label="How often each label was taken for another"
        className="num border-separate border-spacing-px text-sm"
      >
        <thead>
          <tr>
            <th className="sr-only">Expected label</th>
            {columns.map((column, place) => (
              <th
                key={column}
                scope="col"
                className={clsx(
                  "pb-1 align-bottom font-normal",
                  place === columns.length - 1 && "pl-2",
                )}
              >
                <span
                  title={column}
                  className="inline-block max-h-24 rotate-180 truncate [writing-mode:vertical-rl]"
                >
                  {column}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {variant.labels.map((label, row) => (
            <tr key={label}>
              <th
                scope="row"
                title={label}
                className="max-w-32 truncate pr-2 text-right font-normal"
              >
                {label}
              </th>
              <Cells
                counts={variant.confusion[row] ?? []}
                columns={columns}
                row={row}
                onCell={(column) => onCell(label, variant.labels[column] ?? null)}
              />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface CellsProps {
  counts: readonly number[];
  columns: readonly string[];
  row: number;
  onCell: (column: number) => void;
}

function Cells({ counts, columns, row, onCell }: CellsProps) {
  return columns.map((column, place) => {
    const count = counts[place] ?? 0;
    const depth = shade(count, counts);
    const token = place === row ? "--color-accent" : "--color-bad";
    return (
      <td
        key={column}
        className={clsx(
          "h-6 min-w-7 p-0 rounded-sm text-center",
          count === 0 && "text-faint",
          place === columns.length - 1 && "border-l-8 border-l-transparent bg-clip-padding",
        )}
        style={{
          backgroundColor:
            count === 0
              ? "var(--color-sunken)"
              : `color-mix(in oklab, var(${token}) ${PALEST + (depth / 100) * (DEEPEST - PALEST)}%, var(--color-sunken))`,
        }}
      >
        {count === 0 ? (
          <span className="sr-only">0</span>
        ) : (
          <button type="button" className="size-full px-1" onClick={() => onCell(place)}>
            {count}
          </button>
        )}
      </td>
    );
  });
}
