import clsx from "clsx";
import type { ReactNode } from "react";

/** The classes of a tab that is a link; the list is a `nav` because every tab has its URL. */
export function tabClass(active: boolean): string {
  return clsx(
    "-mb-px inline-flex h-9 items-center gap-1.5 border-b-2 px-1 whitespace-nowrap",
    active ? "border-accent text-ink font-medium" : "border-transparent text-muted hover:text-ink",
  );
}

export function TabList({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav
      aria-label={label}
      className="flex shrink-0 gap-4 overflow-x-auto overflow-y-hidden border-b px-4"
    >
      {children}
    </nav>
  );
}

interface SegmentsProps<T extends string> {
  label: string;
  value: T;
  choices: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
}

/** A few choices side by side, one pressed. */
export function Segments<T extends string>({ label, value, choices, onChange }: SegmentsProps<T>) {
  return (
    <fieldset
      aria-label={label}
      className="inline-flex h-6 shrink-0 overflow-hidden rounded-md border border-line-strong"
    >
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === value}
          onClick={() => onChange(choice.value)}
          className="px-2 text-sm text-muted not-first:border-l not-first:border-line-strong hover:text-ink aria-pressed:bg-selected aria-pressed:text-ink"
        >
          {choice.label}
        </button>
      ))}
    </fieldset>
  );
}
