import { expect, test } from "vitest";
import { EMPTY_EXCHANGE, foldPlayground } from "@/features/playground/exchange";
import {
  inLast,
  messagesOf,
  posed,
  posedAgain,
  type Round,
  turnsAfter,
} from "@/features/playground/rounds";

const user = (content: string) => ({ role: "user", content });
const plain = (content: string) => ({
  question: user(content),
  pictures: [],
  places: null,
  checkpoint: "best" as const,
});

function answered(rounds: readonly Round[], text: string): Round[] {
  const token = { id: 1, text, adds: text, logprob: 0, is_end: false, top: [] };
  const told = { kind: "tokens", role: "student", first: 0, tokens: [token] } as const;
  const exchange = foldPlayground(EMPTY_EXCHANGE, { ...told, tokens: [...told.tokens] });
  return inLast(rounds, { exchange });
}

test("a question is asked behind the system prompt and everything that was said", () => {
  const first = inLast(answered(posed([], plain("Hello")), "Hi"), { follows: "student" });
  const [, second] = posed(first, plain("And?"));
  expect(second && messagesOf(" Be short. ", second)).toEqual([
    { role: "system", content: "Be short." },
    user("Hello"),
    { role: "assistant", content: "Hi" },
    user("And?"),
  ]);
});

test("where no answer was chosen the next question is read alone, and the last one stays shown", () => {
  const rounds = posed(answered(posed([], plain("Hello")), "Hi"), plain("And?"));
  expect(rounds.map(({ number }) => number)).toEqual([1, 2]);
  expect(rounds[1] && messagesOf("", rounds[1])).toEqual([user("And?")]);
});

test("a question asked again keeps what it was read after and drops what was said to it", () => {
  const first = inLast(answered(posed([], plain("Hello")), "Hi"), { follows: "student" });
  const again = posedAgain(
    inLast(answered(posed(first, plain("And?")), "Well"), { guess: "student", follows: "student" }),
    { places: ["teacher", "student"], checkpoint: 25 },
  );
  expect(again).toHaveLength(2);
  expect(again[1]).toMatchObject({
    checkpoint: 25,
    guess: null,
    follows: null,
    places: ["teacher", "student"],
  });
  expect(again[1]?.exchange).toBe(EMPTY_EXCHANGE);
  expect(again[1]?.turns).toHaveLength(2);
  expect(turnsAfter(again)).toEqual([]);
});
