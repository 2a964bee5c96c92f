import type { PromptSet } from "@/api/types";
import type { Tone } from "@/components/badge";

/** What a list of sets can be sorted by. */
export type SetKey =
  | "name"
  | "state"
  | "lines"
  | "duplicates"
  | "answers"
  | "size"
  | "used"
  | "added";

/** What is known of a set, in a word; `rank` puts what needs a person first. */
export interface SetState {
  rank: number;
  tone: Tone;
  word: string;
  /** More of it, where there is more to say. */
  why: string;
}

const NUMBER_OF_LINES = (count: number) => (count === 1 ? "1 line" : `${count} lines`);

export function stateOf(set: PromptSet): SetState {
  if (!set.is_here) {
    return { rank: 0, tone: "bad", word: "Not there", why: "The file is not where it was." };
  }
  if (set.look_state === "looking" || set.look_state === "waiting") {
    const isNow = set.look_state === "looking";
    return { rank: 4, tone: "neutral", word: isNow ? "Checking" : "Waiting", why: "" };
  }
  const { look } = set;
  if (!look) {
    return { rank: 3, tone: "neutral", word: "Not checked", why: "" };
  }
  if (look.verdict === "error") {
    const broken = look.num_lines - look.num_usable;
    const why = look.problem ?? `${NUMBER_OF_LINES(broken)} of ${look.num_lines} cannot be used.`;
    return { rank: 1, tone: "bad", word: "Not usable", why };
  }
  return look.verdict === "warning"
    ? { rank: 2, tone: "warn", word: "With warnings", why: "It can be used; see what is odd." }
    : { rank: 5, tone: "good", word: "Usable", why: "" };
}

/** Whether the list will say more of it in a moment. */
export function isPending({ look_state }: PromptSet): boolean {
  return look_state === "waiting" || look_state === "looking";
}

/** The sets that nobody has looked at, because they are large. */
export function uncheckedSets(sets: readonly PromptSet[]): PromptSet[] {
  return sets.filter(({ is_here, look_state }) => is_here && look_state === "unseen");
}

type Value = string | number | null;

const VALUES: Readonly<Record<SetKey, (set: PromptSet) => Value>> = {
  name: ({ name }) => name.toLowerCase(),
  state: (set) => stateOf(set).rank,
  lines: ({ look }) => look?.num_lines ?? null,
  duplicates: ({ look }) => look?.num_duplicates ?? null,
  answers: ({ look }) => look?.num_answers ?? null,
  size: ({ num_bytes }) => num_bytes,
  used: ({ used_by }) => used_by.length,
  added: ({ added }) => added,
};

export function isSetKey(key: string): key is SetKey {
  return key in VALUES;
}

/** Sorted by a key, falling with a minus in front; what is not known yet comes last both ways. */
export function sortedSets(sets: readonly PromptSet[], sort: string | undefined): PromptSet[] {
  const key = (sort ?? "").replace(/^-/, "");
  if (!isSetKey(key)) {
    return [...sets];
  }
  const sign = sort?.startsWith("-") ? -1 : 1;
  const value = VALUES[key];
  return [...sets].sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === null || other === null) {
      return Number(one === null) - Number(other === null);
    }
    return one === other ? 0 : sign * (one < other ? -1 : 1);
  });
}

/** The sort after a press on a column's name: one way, the other way, as it was. */
export function nextSetSort(current: string | undefined, key: SetKey): string | undefined {
  const first = key === "name" || key === "state" ? key : `-${key}`;
  const second = first === key ? `-${key}` : key;
  return current === first ? second : current === second ? undefined : first;
}

/** The sets in whose name, kind or path all words are. */
export function foundSets(sets: readonly PromptSet[], words: string): PromptSet[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return sets.filter(({ name, kind, path }) => {
    const text = `${name} ${kind} ${path}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
