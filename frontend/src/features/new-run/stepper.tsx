import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { CircleCheck, CircleX, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { StepState } from "@/features/new-run/step-states";
import { STEPS, type StepId } from "@/features/new-run/steps";

interface StepperProps {
  step: StepId;
  states: Readonly<Record<StepId, StepState>>;
}

/** The six steps with what is known of each: done, odd or wrong. */
export function Stepper({ step, states }: StepperProps) {
  return (
    <nav aria-label="Steps" className="flex shrink-0 gap-1 overflow-x-auto border-b px-4 pb-2">
      {STEPS.map(({ id, label }, index) => (
        <Link
          key={id}
          to="/new/$step"
          params={{ step: id }}
          aria-current={id === step ? "step" : undefined}
          className={clsx(
            "num flex h-7 items-center gap-2 rounded-md px-2",
            id === step ? "bg-selected font-medium" : "text-muted hover:bg-hover hover:text-ink",
          )}
        >
          <Mark state={states[id]} number={index + 1} />
          {label}
        </Link>
      ))}
    </nav>
  );
}

const MARKS: Readonly<Record<Exclude<StepState, "open">, ReactNode>> = {
  done: <CircleCheck className="size-4 text-good" aria-hidden />,
  warning: <TriangleAlert className="size-4 text-warn" aria-hidden />,
  error: <CircleX className="size-4 text-bad" aria-hidden />,
};
const WORDS: Readonly<Record<Exclude<StepState, "open">, string>> = {
  done: "done",
  warning: "has warnings",
  error: "has errors",
};

/** As wide in every state, so that nothing moves when a check comes in. */
function Mark({ state, number }: { state: StepState; number: number }) {
  return (
    <span className="flex w-4 justify-center text-faint">
      {state === "open" ? (
        number
      ) : (
        <>
          {MARKS[state]}
          <span className="sr-only">{WORDS[state]}</span>
        </>
      )}
    </span>
  );
}
