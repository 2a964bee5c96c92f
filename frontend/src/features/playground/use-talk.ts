import { useState } from "react";
import type { AskedMessage } from "@/api/types";
import { drawnPlaces, type Places } from "@/features/playground/blind";
import { type Chat, continued, messagesOf, NEW_CHAT } from "@/features/playground/chat";
import { textOf } from "@/features/playground/exchange";
import type { Asked } from "@/features/playground/question-form";
import { useExchange } from "@/features/playground/use-exchange";

interface Posed {
  question: AskedMessage;
  /** Where the answers stand without their names; null where everybody is named. */
  places: Places | null;
  number: number;
}

/** A conversation with a run's models: what was said, what was asked last, what is answered. */
export function useTalk(runId: string) {
  const [prompt, setPrompt] = useState("");
  const [chat, setChat] = useState<Chat>(NEW_CHAT);
  const [posed, setPosed] = useState<Posed | null>(null);
  const { exchange, isAsking, ask, stop } = useExchange();
  const isDone = Object.values(exchange.voices).some((voice) => textOf(voice.tokens) !== "");
  return {
    prompt,
    setPrompt,
    chat,
    setChat,
    exchange,
    isAsking,
    stop,
    places: posed?.places ?? null,
    /** Which question it is, so that a guess belongs to one. */
    number: posed?.number ?? 0,
    ask: ({ question, checkpoint, sampling, isBlind }: Asked) => {
      setPosed((before) => ({
        question,
        places: isBlind ? drawnPlaces() : null,
        number: (before?.number ?? 0) + 1,
      }));
      ask({
        messages: messagesOf(chat, question),
        run_id: runId,
        ...(checkpoint === undefined ? {} : { checkpoint }),
        ...(sampling === undefined ? {} : { sampling }),
        ...(isBlind ? { roles: ["student", "teacher"], graded: false } : {}),
      });
    },
    takeUp:
      posed && isDone && !isAsking
        ? (answer: string) => {
            setChat(continued(chat, posed.question, answer));
            setPosed(null);
            setPrompt("");
          }
        : null,
  };
}
