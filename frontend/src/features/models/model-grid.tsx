import { useVirtualizer } from "@tanstack/react-virtual";
import clsx from "clsx";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import type { CardModel } from "@/features/models/cards";
import { nextInGrid } from "@/features/models/grid-keys";
import { ModelCard } from "@/features/models/model-card";

const CARD_HEIGHT = 88;
const GAP = 8;
const CARD_WIDTH = 280;

interface ModelGridProps {
  label: string;
  cards: readonly CardModel[];
  /** The model that is chosen, by id. */
  chosen: string | null;
  onChoose: (card: CardModel) => void;
  className?: string;
}

/** Cards as a list to choose from: only the rows on the screen are drawn, and arrows move among all. */
export function ModelGrid({ label, cards, chosen, onChoose, className }: ModelGridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const columns = useColumns(scroller);
  const chosenAt = cards.findIndex(({ model }) => model.id === chosen);
  const [moved, setMoved] = useState<number | null>(null);
  const at = Math.min(moved ?? Math.max(chosenAt, 0), cards.length - 1);
  const id = useId();
  const rows = useVirtualizer({
    count: Math.ceil(cards.length / columns),
    getScrollElement: () => scroller.current,
    estimateSize: () => CARD_HEIGHT + GAP,
    overscan: 2,
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const card = cards[at];
    if ((event.key === "Enter" || event.key === " ") && card) {
      event.preventDefault();
      onChoose(card);
      return;
    }
    const perPage = Math.floor((scroller.current?.clientHeight ?? 0) / (CARD_HEIGHT + GAP));
    const next = nextInGrid(event.key, at, cards.length, columns, Math.max(perPage, 1));
    if (next !== null) {
      event.preventDefault();
      setMoved(next);
      rows.scrollToIndex(Math.floor(next / columns));
    }
  };
  return (
    <div
      ref={scroller}
      role="listbox"
      aria-label={label}
      tabIndex={0}
      aria-activedescendant={cards[at] ? `${id}-${at}` : undefined}
      onKeyDown={onKeyDown}
      onBlur={() => setMoved(null)}
      className={clsx("group/grid overflow-y-auto rounded-md", className)}
    >
      <div className="relative" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((row) =>
          cards.slice(row.index * columns, (row.index + 1) * columns).map((card, column) => {
            const index = row.index * columns + column;
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the list hears the keys for all of them
              <div
                key={card.model.id}
                id={`${id}-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={card.model.id === chosen}
                aria-setsize={cards.length}
                aria-posinset={index + 1}
                onClick={() => onChoose(card)}
                className={clsx(
                  "absolute cursor-default rounded-lg border bg-surface px-3 py-2 hover:bg-hover aria-selected:border-accent aria-selected:bg-accent-soft",
                  index === at &&
                    "group-focus-visible/grid:outline-2 group-focus-visible/grid:-outline-offset-2 group-focus-visible/grid:outline-accent",
                )}
                style={{
                  top: row.start,
                  height: CARD_HEIGHT,
                  left: `calc(${(100 * column) / columns}% + ${(GAP * column) / columns}px)`,
                  width: `calc(${100 / columns}% - ${(GAP * (columns - 1)) / columns}px)`,
                }}
              >
                <ModelCard card={card} />
              </div>
            );
          }),
        )}
      </div>
    </div>
  );
}

/** How many cards stand side by side where there is so much room. */
function useColumns(element: React.RefObject<HTMLDivElement | null>): number {
  const [columns, setColumns] = useState(3);
  useEffect(() => {
    const node = element.current;
    if (!node) {
      return;
    }
    const observer = new ResizeObserver(([entry]) => {
      const width = entry?.contentRect.width ?? 0;
      setColumns(Math.max(1, Math.floor((width + GAP) / (CARD_WIDTH + GAP))));
    });
    observer.observe(node);
    return () => observer.disconnect();
  }, [element]);
  return columns;
}
