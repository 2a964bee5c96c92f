/** A conversation of the playground in rounds: each is one question and what every model says to it. */
import type { AskedMessage } from "@/api/types";
import type { Attachment } from "@/features/playground/attachments";
import type { Places } from "@/features/playground/blind";
import { EMPTY_EXCHANGE, type Exchange, type Role, textOf } from "@/features/playground/exchange";

/** Which checkpoint of the run the student is. */
export type Asked = "best" | "last" | number;

export interface Round {
  number: number;
  checkpoint: Asked;
  question: AskedMessage;
  /** The question's pictures, as they are shown. */
  pictures: readonly Attachment[];
  /** What was said before it, user and assistant in turn; every model reads the same. */
  turns: readonly AskedMessage[];
  /** Where the answers stand without their names; null where everybody is named. */
  places: Places | null;
  /** Who was taken for the teacher; null before the vote. */
  guess: Role | null;
  /** Whose answer the next question goes on from; null where it starts afresh. */
  follows: Role | null;
  exchange: Exchange;
}

type Posed = Pick<Round, "question" | "pictures" | "places" | "checkpoint">;

/** What the next question is read after: nothing, unless an answer was chosen to go on from. */
export function turnsAfter(rounds: readonly Round[]): readonly AskedMessage[] {
  const last = rounds.at(-1);
  if (!last?.follows) {
    return [];
  }
  const answer = textOf(last.exchange.voices[last.follows].tokens);
  return [...last.turns, last.question, { role: "assistant", content: answer }];
}

/** The conversation with one more question, nothing said to it yet. */
export function posed(rounds: readonly Round[], asked: Posed): Round[] {
  const fresh = { guess: null, follows: null, exchange: EMPTY_EXCHANGE };
  const number = (rounds.at(-1)?.number ?? 0) + 1;
  return [...rounds, { number, ...asked, turns: turnsAfter(rounds), ...fresh }];
}

/** The same question once more, in the place of what was said to it. */
export function posedAgain(
  rounds: readonly Round[],
  asked: Pick<Round, "places" | "checkpoint">,
): Round[] {
  return inLast(rounds, { ...asked, guess: null, follows: null, exchange: EMPTY_EXCHANGE });
}

/** The conversation with its last round changed. */
export function inLast(rounds: readonly Round[], change: Partial<Round>): Round[] {
  const last = rounds.at(-1);
  return last ? [...rounds.slice(0, -1), { ...last, ...change }] : [];
}

/** All that a model reads: the system prompt, what was said, the question. */
export function messagesOf(
  system: string,
  { turns, question }: Pick<Round, "turns" | "question">,
): AskedMessage[] {
  const opening = system.trim() ? [{ role: "system", content: system.trim() }] : [];
  return [...opening, ...turns, question];
}
