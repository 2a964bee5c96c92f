import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { askPlayground } from "@/api/playground";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import type { PlaygroundQuestion } from "@/api/types";
import { EMPTY_EXCHANGE, type Exchange, foldPlayground } from "@/features/playground/exchange";

/** One question at a time and what is said to it; leaving the page stops the work. */
export function useExchange() {
  const [exchange, setExchange] = useState<Exchange>(EMPTY_EXCHANGE);
  const work = useRef<AbortController | null>(null);
  useEffect(() => () => work.current?.abort(), []);
  const asking = useMutation({
    mutationFn: (question: PlaygroundQuestion) => {
      work.current = new AbortController();
      setExchange(EMPTY_EXCHANGE);
      return askPlayground(
        question,
        (message) => setExchange((before) => foldPlayground(before, message)),
        work.current.signal,
      );
    },
    onError: (error) => {
      if (!work.current?.signal.aborted) {
        const { title, reason } = describeError(error);
        setExchange((before) => ({
          ...before,
          ending: { tone: "bad", text: title, action: reason },
        }));
      }
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["playground"] }),
  });
  return {
    exchange,
    isAsking: asking.isPending,
    ask: asking.mutate,
    stop: () => work.current?.abort(),
  };
}
