import { expect, test } from "vitest";
import { continued, messagesOf, NEW_CHAT } from "@/features/playground/chat";

const user = (content: string) => ({ role: "user", content });

test("a question is asked behind the system prompt and everything that was said", () => {
  const chat = continued({ ...NEW_CHAT, system: " Be short. " }, user("Hello"), "Hi");
  expect(messagesOf(chat, user("And?"))).toEqual([
    { role: "system", content: "Be short." },
    user("Hello"),
    { role: "assistant", content: "Hi" },
    user("And?"),
  ]);
  expect(messagesOf(NEW_CHAT, user("Hello"))).toEqual([user("Hello")]);
});
