import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { goToSetting, hashOf } from "@/features/new-run/go-to-setting";
import type { Problem } from "@/features/new-run/step-states";

interface ProblemLinkProps {
  problem: Problem;
  children: string;
  className?: string;
}

/** Leads to the setting that something is wrong with, and puts the focus there. */
export function ProblemLink({ problem, children, className }: ProblemLinkProps) {
  const { step, field } = problem;
  return (
    <Link
      to="/new/$step"
      params={{ step }}
      {...(field ? { hash: hashOf(field) } : {})}
      // An address that is the same already leads nowhere.
      onClick={() => field && goToSetting(field)}
      title={children}
      className={clsx("underline decoration-line-strong hover:decoration-current", className)}
    >
      {children}
    </Link>
  );
}
