import { expect, test } from "vitest";
import type { GeneratedToken } from "@/api/types";
import {
  EMPTY_EXCHANGE,
  foldPlayground,
  gradedTokens,
  textOf,
} from "@/features/playground/exchange";

function token(text: string, logprob: number): GeneratedToken {
  return { id: 1, text, adds: text, logprob, is_end: false, top: [{ id: 1, text, logprob }] };
}

test("tokens of each model stand in its own column, told twice or not", () => {
  const tokens = { kind: "tokens", role: "student", first: 0, tokens: [token("a", -1)] } as const;
  const once = foldPlayground(EMPTY_EXCHANGE, { ...tokens, tokens: [...tokens.tokens] });
  const twice = foldPlayground(once, { ...tokens, tokens: [...tokens.tokens] });
  expect(textOf(twice.voices.student.tokens)).toBe("a");
  expect(twice.voices.teacher.tokens).toEqual([]);
});

test("a token is graded by how much likelier the student found it than the teacher", () => {
  let exchange = foldPlayground(EMPTY_EXCHANGE, {
    kind: "tokens",
    role: "student",
    first: 0,
    tokens: [token("a", -0.5), token("b", -1)],
  });
  exchange = foldPlayground(exchange, {
    kind: "grades",
    first: 0,
    grades: [{ teacher_logprob: -2, top: [] }],
  });
  const [first, second] = gradedTokens(exchange);
  expect(first?.divergence).toBeCloseTo(1.5, 12);
  expect(second).toMatchObject({ divergence: null, teacherLogprob: null });
});

test("a failure keeps what was written and says what to do", () => {
  const failed = foldPlayground(EMPTY_EXCHANGE, {
    kind: "failed",
    code: "memory",
    message: "It ran out of memory.",
    action: "Choose a smaller teacher.",
  });
  expect(failed.ending).toEqual({
    tone: "bad",
    text: "It ran out of memory.",
    action: "Choose a smaller teacher.",
  });
});

test("the sign with which an answer ends is no part of it", () => {
  const yes = token("yes", 0);
  expect(textOf([yes, { ...yes, text: "<|im_end|>", adds: "", is_end: true }])).toBe("yes");
});

test("what a model read is told with the share that was pictures", () => {
  const place = { first: 4, num_tokens: 260, width: 640, height: 416 };
  const started = foldPlayground(EMPTY_EXCHANGE, {
    kind: "started",
    role: "student",
    num_prompt_tokens: 560,
    pictures: [place, { ...place, first: 266 }],
  });
  expect(started.voices.student.read).toEqual({ numTokens: 560, numOfPictures: 520 });
});

test("a split character is told token by token and written once it is whole", () => {
  const parts = ["\\xe2", "\\x82", "\\xac"].map((text) => ({ ...token(text, -1), adds: "" }));
  const whole = parts.map((part, place) => (place === 2 ? { ...part, adds: "€" } : part));
  const exchange = foldPlayground(EMPTY_EXCHANGE, {
    kind: "tokens",
    role: "student",
    first: 0,
    tokens: [token(" ", -1), ...whole],
  });
  expect(textOf(exchange.voices.student.tokens)).toBe(" €");
  expect(gradedTokens(exchange).map(({ text }) => text)).toEqual([" ", "\\xe2", "\\x82", "\\xac"]);
});
