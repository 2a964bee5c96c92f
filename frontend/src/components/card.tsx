import clsx from "clsx";
import type { ReactNode } from "react";

interface CardProps {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
  flush?: boolean;
}

export function Card({ title, actions, children, className, flush = false }: CardProps) {
  return (
    <section className={clsx("flex min-w-0 flex-col rounded-lg border bg-surface", className)}>
      {title || actions ? (
        <header className="flex h-9 shrink-0 items-center gap-2 border-b px-3">
          <h2 className="truncate font-medium">{title}</h2>
          <div className="ml-auto flex items-center gap-1">{actions}</div>
        </header>
      ) : null}
      <div className={clsx("min-w-0 grow", !flush && "p-3")}>{children}</div>
    </section>
  );
}

export interface FigureProps {
  label: string;
  value: ReactNode;
  unit?: string | undefined;
  note?: ReactNode;
}

/** A number with its name above and its unit muted. */
export function Figure({ label, value, unit, note }: FigureProps) {
  return (
    <div className="min-w-0">
      <div className="label">{label}</div>
      <div className="num text-lg font-medium whitespace-nowrap">
        {value}
        {unit ? <span className="ml-1 text-base font-normal text-faint">{unit}</span> : null}
      </div>
      {note ? <div className="num text-sm text-balance text-muted">{note}</div> : null}
    </div>
  );
}
