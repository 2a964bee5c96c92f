/** An answer of the playground, folded from its messages. */
import type { GeneratedToken, Grade, PlaygroundMessage, TopToken } from "@/api/types";
import type { RolloutToken } from "@/features/run/tokens";

export type Role = "base" | "student" | "teacher";

export interface Voice {
  state: "waiting" | "loading" | "writing" | "done";
  tokens: readonly GeneratedToken[];
  seconds: number | null;
  finishReason: string | null;
  /** Tokens that it read, and those of them that are pictures. */
  read: { numTokens: number; numOfPictures: number } | null;
}

export interface Exchange {
  voices: Readonly<Record<Role, Voice>>;
  grades: readonly Grade[];
  notes: readonly string[];
  ending: { tone: "neutral" | "bad"; text: string; action: string } | null;
}

const SILENT: Voice = {
  state: "waiting",
  tokens: [],
  seconds: null,
  finishReason: null,
  read: null,
};

export const EMPTY_EXCHANGE: Exchange = {
  voices: { base: SILENT, student: SILENT, teacher: SILENT },
  grades: [],
  notes: [],
  ending: null,
};

export function foldPlayground(exchange: Exchange, message: PlaygroundMessage): Exchange {
  const change = (role: Role, part: Partial<Voice>): Exchange => ({
    ...exchange,
    voices: { ...exchange.voices, [role]: { ...exchange.voices[role], ...part } },
  });
  switch (message.kind) {
    case "loading":
      return change(message.role, { state: "loading" });
    case "started":
      return change(message.role, {
        state: "writing",
        tokens: [],
        read: {
          numTokens: message.num_prompt_tokens,
          numOfPictures: message.pictures.reduce((sum, each) => sum + each.num_tokens, 0),
        },
      });
    case "tokens": {
      const before = exchange.voices[message.role].tokens.slice(0, message.first);
      return change(message.role, { tokens: [...before, ...message.tokens] });
    }
    case "grades":
      return {
        ...exchange,
        grades: [...exchange.grades.slice(0, message.first), ...message.grades],
      };
    case "finished":
      return change(message.role, {
        state: "done",
        seconds: message.seconds,
        finishReason: message.finish_reason,
      });
    case "note":
      return { ...exchange, notes: [...exchange.notes, message.text] };
    case "stopped":
      return { ...exchange, ending: { tone: "neutral", text: message.reason, action: "" } };
    case "failed":
      return {
        ...exchange,
        ending: { tone: "bad", text: message.message, action: message.action },
      };
    default:
      return exchange;
  }
}

/** The student's tokens with the teacher's word on each; the distance is in logprobs. */
export function gradedTokens(exchange: Exchange): RolloutToken[] {
  return exchange.voices.student.tokens.map((token, index) => {
    const grade = exchange.grades[index];
    const teacherLogprob = grade?.teacher_logprob ?? null;
    return {
      text: token.text,
      divergence: teacherLogprob === null ? null : Math.max(0, token.logprob - teacherLogprob),
      studentLogprob: token.logprob,
      teacherLogprob,
      studentTop: asProbabilities(token.top),
      teacherTop: asProbabilities(grade?.top ?? []),
    };
  });
}

function asProbabilities(top: readonly TopToken[]) {
  return top.map(({ text, logprob }) => ({ text, probability: Math.exp(logprob) }));
}

/** What a voice says: a token adds to it once its last character is whole, its end sign never. */
export function textOf(tokens: readonly GeneratedToken[]): string {
  return tokens.map(({ adds }) => adds).join("");
}
