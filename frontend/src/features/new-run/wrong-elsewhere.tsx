import { Notice } from "@/components/states";
import { ProblemLink } from "@/features/new-run/problem-link";
import { useProblems } from "@/features/new-run/step-states";

/** What has to be right before a step can say anything, each with the way to it. */
export function WrongElsewhere({ children }: { children: string }) {
  const wrong = useProblems().problems.filter(({ severity }) => severity === "error");
  return (
    <Notice tone="bad" title={children}>
      <ul>
        {wrong.map((problem) => (
          <li key={`${problem.field} ${problem.message}`}>
            <ProblemLink problem={problem}>{problem.message}</ProblemLink>
          </li>
        ))}
      </ul>
    </Notice>
  );
}
