import type { PairComparison } from "@/api/evaluations";

const MINUS = "\u2212";

/** Percentage points with their sign. */
export function pointsText(share: number): string {
  const points = (Math.abs(share) * 100).toFixed(1);
  return share < 0 && points !== "0.0" ? `${MINUS}${points}` : `+${points}`;
}

/** Names a winner only where the whole interval is on one side of nothing. */
export function verdictText(pair: PairComparison): string {
  return pair.better === null ? "No difference shown" : `${pair.better} is better`;
}

/** How deep a cell of the heat map is: its share of its row, 0 to 100. */
export function shade(count: number, row: readonly number[]): number {
  const total = row.reduce((sum, each) => sum + each, 0);
  return total === 0 ? 0 : Math.round((100 * count) / total);
}

/** How many times faster than the teacher a variant answers; null beside itself. */
export function speedUp(seconds: number, teacherSeconds: number | undefined): number | null {
  return teacherSeconds === undefined || seconds <= 0 ? null : teacherSeconds / seconds;
}

// What the backend calls the column of replies without a label.
const NO_LABEL = "(unparseable)";

/** A label as answered; a reply without any is unreadable. */
export function answerTitle(label: string): string {
  return label === NO_LABEL ? "unreadable" : label;
}

/** A variant's key as words: student_after is "student after". */
export function variantTitle(name: string): string {
  return name.replaceAll("_", " ");
}

/** The ways to tell right answers from wrong ones. */
export const GRADINGS = [
  { value: "auto", label: "As the items look", help: "Labels that come again, or free answers." },
  { value: "labels", label: "Labels", help: "A reply names one of a few labels." },
  { value: "exact", label: "Exact", help: "The answer is the right one; case does not count." },
  { value: "contains", label: "Contains", help: "The right answer occurs in the reply." },
  { value: "boxed", label: "Boxed", help: "The last \\boxed{} holds the right answer." },
] as const;

/** How free answers were graded, in words; empty where they were labels. */
export function gradingText(grading: (typeof GRADINGS)[number]["value"] | undefined): string {
  switch (grading) {
    case "exact":
      return "free answers, graded by exact match";
    case "contains":
      return "free answers, right where they contain the expected one";
    case "boxed":
      return "free answers, graded by their box";
    default:
      return "";
  }
}
