import clsx from "clsx";
import type { ReactNode } from "react";

interface ScrolledProps {
  label: string;
  className?: string;
  children: ReactNode;
}

/** What is larger than its place, and holds nothing that the keyboard stops at by itself. */
export function Scrolled({ label, className, children }: ScrolledProps) {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
      tabIndex={0}
      className={clsx("overflow-y-auto", className)}
    >
      {children}
    </section>
  );
}
