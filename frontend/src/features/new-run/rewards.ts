import type { RewardSettings } from "@/api/types";
import type { Setting } from "@/features/new-run/draft";

export type RewardKind = RewardSettings["kind"];

/** One line of the form: a way to grade, and how it is used where it is. */
export interface RewardLine {
  kind: RewardKind;
  title: string;
  about: string;
}

const WORDS: Readonly<Record<RewardKind, readonly [title: string, about: string]>> = {
  exact: ["Equal to the answer", "1 where the completion is the prompt's answer, else 0."],
  label: ["Right label", "1 where the label behind the thinking is the answer, else 0."],
  boxed: ["Right box", "1 where the last \\boxed{} holds the answer, else 0."],
  format_think: ["Thought, then answer", "1 for one thought in <think> and an answer after it."],
  length: ["Short enough", "0 for short completions, falling to -1 at the longest allowed."],
  python: ["A function of yours", "What reward(completion) in a Python file returns."],
};

export const REWARD_LINES: readonly RewardLine[] = (
  Object.entries(WORDS) as [RewardKind, readonly [string, string]][]
).map(([kind, [title, about]]) => ({ kind, title, about }));

/** The rewards of a draft; what a file wrote otherwise is left as it is. */
export function rewardsIn(value: Setting | undefined): readonly RewardSettings[] {
  return Array.isArray(value) ? (value as unknown as RewardSettings[]) : [];
}

/** The rewards with one taken in or left out, in the order of the form. */
export function toggled(
  rewards: readonly RewardSettings[],
  kind: RewardKind,
  isUsed: boolean,
): RewardSettings[] {
  const others = rewards.filter((reward) => reward.kind !== kind);
  const used = isUsed ? [...others, { kind }] : others;
  const order = REWARD_LINES.map((line) => line.kind);
  return used.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** The rewards with some settings of one replaced. */
export function changed(
  rewards: readonly RewardSettings[],
  kind: RewardKind,
  change: Partial<RewardSettings>,
): RewardSettings[] {
  return rewards.map((reward) => (reward.kind === kind ? { ...reward, ...change } : reward));
}
