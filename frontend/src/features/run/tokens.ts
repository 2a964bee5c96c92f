import type { RolloutRecord, Token } from "@/api/types";
import { formatNumber } from "@/components/format";

export interface RolloutToken {
  text: string;
  /** Null where nobody compared it with a teacher, as the teacher's logprob is. */
  divergence: number | null;
  studentLogprob: number;
  teacherLogprob: number | null;
  studentTop: readonly Token[];
  teacherTop: readonly Token[];
}

/** The parallel lists of a record, token by token. */
export function tokensOf(record: RolloutRecord): RolloutToken[] {
  return record.token_texts.map((text, index) => ({
    text,
    divergence: record.divergence?.[index] ?? null,
    studentLogprob: record.student_logprobs[index] ?? Number.NaN,
    teacherLogprob: record.teacher_logprobs?.[index] ?? null,
    studentTop: record.student_top?.[index] ?? [],
    teacherTop: record.teacher_top?.[index] ?? [],
  }));
}

/** Above this a token's tint is full: the models hardly overlap there. */
const FULL_TINT_NATS = 2;

/** How strongly a token is tinted, 0 to 1; the root spreads small divergences. */
export function tintOf(divergence: number | null): number {
  return Math.sqrt(Math.min(Math.max(divergence ?? 0, 0) / FULL_TINT_NATS, 1));
}

/** The mean over a completion in words; empty where it was not measured. */
export function divergenceText(mean: number | null | undefined): string {
  return mean === null || mean === undefined ? "" : `${formatNumber(mean, 3)} nats/token`;
}

/** What a completion was worth; empty where nothing graded it. */
export function rewardText(reward: number | null | undefined): string {
  return reward === null || reward === undefined ? "" : `reward ${formatNumber(reward, 3)}`;
}

/** How much better it was graded than its prompt's others; empty where nothing was compared. */
export function advantageText(advantage: number | null | undefined): string {
  if (advantage === null || advantage === undefined) {
    return "";
  }
  return `advantage ${advantage > 0 ? "+" : ""}${formatNumber(advantage, 3)}`;
}

/** What a completion's divergences come to. */
export function meanDivergence(record: RolloutRecord): number | null {
  const { divergence } = record;
  if (!divergence) {
    return null;
  }
  return divergence.reduce((sum, value) => sum + value, 0) / Math.max(divergence.length, 1);
}

/**
 * Completions of one prompt in one step together, each in its place; prompts stay in order. A place
 * that comes twice belongs to a step that was taken again after a resume: it begins a group anew.
 */
export function groupsOf(records: readonly RolloutRecord[]): RolloutRecord[][] {
  const groups: RolloutRecord[][] = [];
  const open = new Map<string, RolloutRecord[]>();
  for (const record of records) {
    const key = `${record.step} ${record.prompt_index ?? record.prompt}`;
    const known = open.get(key);
    if (known && !known.some((other) => other.index === record.index)) {
      known.push(record);
      continue;
    }
    const group = [record];
    open.set(key, group);
    groups.push(group);
  }
  return groups.map((group) => group.sort((one, other) => one.index - other.index));
}

/** A token as it can be seen: line ends and lone blanks get a sign. */
export function visibleText(text: string): string {
  if (text === "") {
    return "∅";
  }
  return text.replaceAll("\n", "⏎\n").replaceAll("\t", "⇥").replace(/^ $/, "␣");
}
