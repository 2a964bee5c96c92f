import { Eraser } from "lucide-react";
import { Button } from "@/components/button";
import { TextArea } from "@/components/input";
import { type Chat, NEW_CHAT } from "@/features/playground/chat";

interface ConversationProps {
  chat: Chat;
  onChat: (chat: Chat) => void;
}

/** The system prompt and what was said so far; every model reads the same. */
export function Conversation({ chat, onChat }: ConversationProps) {
  return (
    <div className="flex flex-col gap-2">
      <details open={chat.system !== "" || undefined}>
        <summary className="w-fit cursor-default text-muted hover:text-ink">System prompt</summary>
        <TextArea
          aria-label="System prompt"
          placeholder="Read before the conversation, through the model’s chat template"
          rows={2}
          value={chat.system}
          onChange={(event) => onChat({ ...chat, system: event.target.value })}
          className="mt-1 w-full"
        />
      </details>
      {chat.turns.length > 0 ? (
        <>
          <section
            aria-label="The conversation so far"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
            tabIndex={0}
            className="flex max-h-72 flex-col gap-2 overflow-y-auto rounded-md border bg-sunken p-2"
          >
            {chat.turns.map((turn, place) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a turn is its place
              <div key={place}>
                <div className="label">{turn.role === "user" ? "You" : "Answer"}</div>
                <p className="whitespace-pre-wrap break-words" dir="auto">
                  {turn.content || "Pictures"}
                </p>
              </div>
            ))}
          </section>
          <Button
            size="sm"
            icon={<Eraser aria-hidden />}
            className="self-start"
            onClick={() => onChat({ ...NEW_CHAT, system: chat.system })}
          >
            New chat
          </Button>
        </>
      ) : null}
    </div>
  );
}
