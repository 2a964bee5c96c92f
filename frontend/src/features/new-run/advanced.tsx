import { ChevronRight } from "lucide-react";
import type { ReactNode } from "react";

interface AdvancedProps {
  count: number;
  children: ReactNode;
}

/** Settings that few runs need, folded away, in the same look on every step. */
export function Advanced({ count, children }: AdvancedProps) {
  return (
    <details className="group mt-3 first:mt-0">
      <summary className="flex h-8 list-none items-center gap-1 text-muted hover:text-ink">
        <ChevronRight className="size-3.5 group-open:rotate-90" aria-hidden />
        Advanced ({count})
      </summary>
      <div className="mt-2">{children}</div>
    </details>
  );
}
