import type { RolloutRecord, Token } from "@/api/types";

export interface RolloutToken {
  text: string;
  divergence: number;
  studentLogprob: number;
  teacherLogprob: number;
  studentTop: readonly Token[];
  teacherTop: readonly Token[];
}

/** The parallel lists of a record, token by token. */
export function tokensOf(record: RolloutRecord): RolloutToken[] {
  return record.token_texts.map((text, index) => ({
    text,
    divergence: record.divergence[index] ?? 0,
    studentLogprob: record.student_logprobs[index] ?? Number.NaN,
    teacherLogprob: record.teacher_logprobs[index] ?? Number.NaN,
    studentTop: record.student_top?.[index] ?? [],
    teacherTop: record.teacher_top?.[index] ?? [],
  }));
}

/** Above this a token's tint is full: the models hardly overlap there. */
const FULL_TINT_NATS = 2;

/** How strongly a token is tinted, 0 to 1; the root spreads small divergences. */
export function tintOf(divergence: number): number {
  return Math.sqrt(Math.min(Math.max(divergence, 0) / FULL_TINT_NATS, 1));
}

/** A token as it can be seen: line ends and lone blanks get a sign. */
export function visibleText(text: string): string {
  if (text === "") {
    return "∅";
  }
  return text.replaceAll("\n", "⏎\n").replaceAll("\t", "⇥").replace(/^ $/, "␣");
}
