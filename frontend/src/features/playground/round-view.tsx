import { useEffect, useRef } from "react";
import type { RunSummary } from "@/api/types";
import { Card } from "@/components/card";
import { Notice } from "@/components/states";
import { AskedQuestion } from "@/features/playground/asked-question";
import { BlindVote } from "@/features/playground/blind-vote";
import { gradedTokens, type Role } from "@/features/playground/exchange";
import type { Round } from "@/features/playground/rounds";
import { Voices } from "@/features/playground/voices";
import { TokenView } from "@/features/run/token-view";

/** What can be done in the last round; the others only tell. */
export interface RoundActions {
  onAgain: (() => void) | null;
  onGuess: (role: Role) => void;
  onFollow: (role: Role | null) => void;
}

interface RoundViewProps {
  run: RunSummary;
  round: Round;
  system: string;
  isAsking: boolean;
  /** Null where the conversation has gone on. */
  actions: RoundActions | null;
  onEdit: () => void;
}

/** One question, what every model said to it, and how the teacher grades the student's tokens. */
export function RoundView({ run, round, system, isAsking, actions, onEdit }: RoundViewProps) {
  const { number, exchange, places } = round;
  const place = useRef<HTMLElement>(null);
  // A new question is brought into view once; what is said to it moves nothing.
  useEffect(() => {
    // What it answers, a promise in newer browsers, is nothing to be called at the end.
    void place.current?.scrollIntoView({ block: "start" });
  }, []);
  // Where nobody is named, the student's tokens would name it.
  const isGraded = actions !== null && places === null && exchange.grades.length > 0;
  const tokens = isGraded ? gradedTokens(exchange) : [];
  return (
    <section
      ref={place}
      aria-label={`Question ${number}`}
      className="flex scroll-mt-3 flex-col gap-3"
    >
      <AskedQuestion
        round={round}
        system={system}
        onAgain={actions?.onAgain ?? null}
        onEdit={onEdit}
      />
      {exchange.ending ? (
        <Notice tone={exchange.ending.tone} title={exchange.ending.text}>
          {exchange.ending.action}
        </Notice>
      ) : null}
      {exchange.notes.map((note) => (
        <Notice key={note} tone="neutral" title={note} />
      ))}
      {places ? (
        <BlindVote
          run={run}
          round={round}
          places={places}
          isAsking={isAsking}
          onGuess={actions?.onGuess ?? null}
        />
      ) : (
        <Voices run={run} round={round} onFollow={isAsking ? null : (actions?.onFollow ?? null)} />
      )}
      {tokens.length > 0 ? (
        <Card title="The student’s tokens, graded by the teacher">
          <TokenView id="playground" tokens={tokens} />
        </Card>
      ) : null}
    </section>
  );
}
