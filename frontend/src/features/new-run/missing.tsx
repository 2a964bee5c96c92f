import { CircleX } from "lucide-react";
import { ProblemLink } from "@/features/new-run/problem-link";
import type { Problem } from "@/features/new-run/step-states";

/** What keeps a step from being done, beside the button that goes on. */
export function Missing({ errors }: { errors: readonly Problem[] }) {
  const [first, ...others] = errors;
  if (!first) {
    return null;
  }
  return (
    <p className="ml-auto flex min-w-0 items-center gap-2 text-bad">
      <CircleX className="size-4 shrink-0" aria-hidden />
      <ProblemLink problem={first} className="truncate">
        {first.message}
      </ProblemLink>
      {others.length > 0 ? (
        <span className="num shrink-0 text-muted">and {others.length} more</span>
      ) : null}
    </p>
  );
}
