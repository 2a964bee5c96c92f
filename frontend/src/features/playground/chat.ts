/** A conversation of the playground: what was said before, and the messages of the next question. */
import type { AskedMessage } from "@/api/types";

export interface Chat {
  system: string;
  /** User and assistant in turn. */
  turns: readonly AskedMessage[];
}

export const NEW_CHAT: Chat = { system: "", turns: [] };

/** All that a model reads: the system prompt, what was said, the question. */
export function messagesOf({ system, turns }: Chat, question: AskedMessage): AskedMessage[] {
  const opening = system.trim() ? [{ role: "system", content: system.trim() }] : [];
  return [...opening, ...turns, question];
}

/** The chat once an answer was taken up. */
export function continued(chat: Chat, question: AskedMessage, answer: string): Chat {
  return { ...chat, turns: [...chat.turns, question, { role: "assistant", content: answer }] };
}
