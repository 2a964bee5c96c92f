/** The blind vote: two answers without names, and what a guess says of the student. */
import type { Tally } from "@/api/types";
import { formatPercent } from "@/components/format";
import type { Exchange, Role } from "@/features/playground/exchange";

/** Who stands on the left and on the right. */
export type Places = readonly [Role, Role];

/** Drawn anew for every question, so that nothing but the answers tells. */
export function drawnPlaces(drawn = Math.random()): Places {
  return drawn < 0.5 ? ["student", "teacher"] : ["teacher", "student"];
}

/** Whether both have answered: before that their pace would tell who is who. */
export function canGuess({ voices, ending }: Exchange): boolean {
  return ending === null && voices.student.state === "done" && voices.teacher.state === "done";
}

/** A tally in words: how often the teacher was found, and whether that is more than guessing. */
export function tallyText({ num_right, num_votes, interval, is_told_apart }: Tally): string {
  if (num_votes === 0 || !interval) {
    return "No guesses yet.";
  }
  const share = `${formatPercent(interval.low)} to ${formatPercent(interval.high)} %`;
  const verdict = is_told_apart
    ? "you can tell them apart"
    : interval.high < 0.5
      ? "you take the student for the teacher"
      : "no better than guessing so far";
  return `The teacher was found ${num_right} of ${num_votes} times (${share}): ${verdict}.`;
}
