import { useState } from "react";
import type { PlaygroundQuestion } from "@/api/types";
import { type Attachment, messageOf } from "@/features/playground/attachments";
import { drawnPlaces } from "@/features/playground/blind";
import type { Role } from "@/features/playground/exchange";
import {
  type Asked,
  inLast,
  messagesOf,
  posed,
  posedAgain,
  type Round,
} from "@/features/playground/rounds";
import { useExchange } from "@/features/playground/use-exchange";

/** How a question is asked: of which checkpoint, behind which system prompt, with or without names. */
export interface Manner extends Pick<PlaygroundQuestion, "sampling"> {
  checkpoint: Asked;
  system: string;
  isBlind: boolean;
}

/** A conversation with a run's models, round by round. */
export function useTalk(runId: string) {
  const [kept, setKept] = useState<readonly Round[]>([]);
  const { exchange, isAsking, ask, stop } = useExchange();
  // What is being said belongs to the last round.
  const rounds = inLast(kept, { exchange });
  function send(next: readonly Round[], { checkpoint, sampling, system, isBlind }: Manner) {
    const last = next.at(-1);
    if (!last) {
      return;
    }
    setKept(next);
    ask({
      messages: messagesOf(system, last),
      run_id: runId,
      checkpoint,
      ...(sampling === undefined ? {} : { sampling }),
      ...(isBlind ? { roles: ["student", "teacher"], graded: false } : {}),
    });
  }
  const askedOf = ({ isBlind, checkpoint }: Manner) => ({
    places: isBlind ? drawnPlaces() : null,
    checkpoint,
  });
  return {
    rounds,
    isAsking,
    stop,
    ask: (words: string, pictures: readonly Attachment[], manner: Manner) => {
      const question = messageOf(words, pictures);
      send(posed(rounds, { question, pictures, ...askedOf(manner) }), manner);
    },
    askAgain: (manner: Manner) => send(posedAgain(rounds, askedOf(manner)), manner),
    guess: (role: Role) => setKept(inLast(rounds, { guess: role })),
    follow: (role: Role | null) => setKept(inLast(rounds, { follows: role })),
    clear: () => {
      stop();
      setKept([]);
    },
  };
}

export type Talk = ReturnType<typeof useTalk>;
