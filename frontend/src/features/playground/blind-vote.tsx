import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { addVote, blindTally, clearVotes } from "@/api/playground";
import { queryClient } from "@/api/query-client";
import type { Tally } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Notice } from "@/components/states";
import { canGuess, type Places, tallyText } from "@/features/playground/blind";
import { type Exchange, type Role, textOf } from "@/features/playground/exchange";
import { showError } from "@/features/runs/run-actions";

interface BlindVoteProps {
  runId: string;
  exchange: Exchange;
  places: Places;
  isAsking: boolean;
}

/** Two answers without names, shown once both are there: which is the teacher's? */
export function BlindVote({ runId, exchange, places, isAsking }: BlindVoteProps) {
  const [guess, setGuess] = useState<Role | null>(null);
  const isReady = canGuess(exchange);
  const learn = (tally: Tally) => queryClient.setQueryData(blindTally(runId).queryKey, tally);
  const vote = useMutation({
    mutationFn: (role: Role) => addVote(runId, role === "teacher"),
    onSuccess: learn,
    onError: showError,
  });
  return (
    <>
      {exchange.ending ? (
        <Notice tone={exchange.ending.tone} title={exchange.ending.text}>
          {exchange.ending.action}
        </Notice>
      ) : null}
      {guess ? (
        <Notice
          tone="neutral"
          title={
            guess === "teacher"
              ? "Right: that is the teacher’s answer."
              : "No: that is the student’s answer."
          }
        />
      ) : null}
      <div className="grid gap-3 lg:grid-cols-2">
        {places.map((role, place) => (
          <Card
            key={role}
            title={
              guess ? (role === "teacher" ? "Teacher" : "Student") : `Answer ${"AB"[place] ?? ""}`
            }
          >
            <p className="min-h-24 whitespace-pre-wrap break-words" dir="auto">
              {isReady ? (
                textOf(exchange.voices[role].tokens) || "It printed nothing"
              ) : (
                <span className="text-faint">
                  {isAsking ? "Both answers are shown once they are there" : "Nothing asked yet"}
                </span>
              )}
            </p>
            {isReady && !guess ? (
              <Button
                className="mt-2"
                busy={vote.isPending}
                onClick={() => {
                  setGuess(role);
                  vote.mutate(role);
                }}
              >
                This is the teacher
              </Button>
            ) : null}
          </Card>
        ))}
      </div>
      <TallyLine runId={runId} onCleared={learn} />
    </>
  );
}

interface TallyLineProps {
  runId: string;
  onCleared: (tally: Tally) => void;
}

function TallyLine({ runId, onCleared }: TallyLineProps) {
  const tally = useQuery(blindTally(runId)).data;
  const clear = useMutation({
    mutationFn: () => clearVotes(runId),
    onSuccess: onCleared,
    onError: showError,
  });
  if (!tally) {
    return null;
  }
  return (
    <p className="num flex items-center gap-2 text-muted" role="status">
      {tallyText(tally)}
      {tally.num_votes > 0 ? (
        <Button size="sm" look="quiet" busy={clear.isPending} onClick={() => clear.mutate()}>
          Start over
        </Button>
      ) : null}
    </p>
  );
}
