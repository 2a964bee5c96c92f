import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { addVote, blindTally } from "@/api/playground";
import { queryClient } from "@/api/query-client";
import type { RunSummary } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { KeyHint } from "@/components/key-hint";
import { useShortcuts } from "@/components/shortcuts";
import { canGuess, type Places } from "@/features/playground/blind";
import { type Role, textOf } from "@/features/playground/exchange";
import type { Round } from "@/features/playground/rounds";
import { VoiceTitle } from "@/features/playground/voices";
import { showError } from "@/features/runs/run-actions";

interface BlindVoteProps {
  run: RunSummary;
  round: Round;
  places: Places;
  isAsking: boolean;
  /** Takes a guess; null where the conversation has gone on without one. */
  onGuess: ((role: Role) => void) | null;
}

/** Two answers without names, shown once both are there: which is the teacher's? */
export function BlindVote({ run, round, places, isAsking, onGuess }: BlindVoteProps) {
  const { guess, exchange } = round;
  const isReady = canGuess(exchange);
  const vote = useMutation({
    mutationFn: (role: Role) => addVote(run.run_id, role === "teacher"),
    onSuccess: (tally) => queryClient.setQueryData(blindTally(run.run_id).queryKey, tally),
    onError: showError,
  });
  const take =
    isReady && !guess && onGuess
      ? (role: Role) => {
          onGuess(role);
          vote.mutate(role);
        }
      : null;
  useShortcuts(take ? { "1": () => take(places[0]), "2": () => take(places[1]) } : {});
  return (
    <div className="flex flex-col gap-2">
      <div className="grid gap-3 md:grid-cols-2">
        {places.map((role, place) => (
          <Card
            key={role}
            title={
              guess ? (
                <VoiceTitle role={role} run={run} checkpoint={round.checkpoint} />
              ) : (
                `Answer ${"AB"[place] ?? ""}`
              )
            }
            className={guess === role ? "border-accent" : ""}
            actions={guess === role ? <Badge tone="accent">Your vote</Badge> : null}
          >
            <p className="min-h-10 break-words whitespace-pre-wrap" dir="auto">
              {isReady ? (
                textOf(exchange.voices[role].tokens) || "It printed nothing"
              ) : (
                <span className="text-faint">
                  {isAsking ? "Both answers are shown once they are there" : "It was not answered"}
                </span>
              )}
            </p>
            {take ? <VoteButton number={place + 1} onPress={() => take(role)} /> : null}
          </Card>
        ))}
      </div>
      {guess ? <Told guess={guess} /> : null}
    </div>
  );
}

interface VoteButtonProps {
  number: number;
  onPress: () => void;
}

/** The first takes the keyboard, unless the next question is being typed. */
function VoteButton({ number, onPress }: VoteButtonProps) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const typed = document.activeElement;
    const isTyping = typed instanceof HTMLTextAreaElement && typed.value !== "";
    if (number === 1 && !isTyping) {
      button.current?.focus();
    }
  }, [number]);
  return (
    <Button ref={button} className="mt-2" aria-keyshortcuts={String(number)} onClick={onPress}>
      This is the teacher
      <KeyHint keys={String(number)} />
    </Button>
  );
}

function Told({ guess }: { guess: Role }) {
  const isRight = guess === "teacher";
  return (
    <p role="status" className="flex items-center gap-2">
      <Badge tone={isRight ? "good" : "warn"}>{isRight ? "Right" : "No"}</Badge>
      {isRight ? "That is the teacher’s answer." : "That is the student’s answer."}
    </p>
  );
}
