import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { ApiError, isProblem, OfflineError } from "@/api/problem";
import type {
  KeptPrompt,
  PlaygroundMessage,
  PlaygroundQuestion,
  PromptSet,
  Tally,
} from "@/api/types";

const WATCH_MS = 1000;

/** While something has the GPU it is asked again: not all that may have it are runs of the queue. */
export function playgroundState() {
  return queryOptions({
    queryKey: ["playground"],
    queryFn: ({ signal }) => body(client.GET("/api/playground", { signal })),
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.state === "blocked" ? WATCH_MS : false),
  });
}

export function unloadPlayground() {
  return body(client.DELETE("/api/playground"));
}

/** Prompts drawn from a run's own files; another seed draws others. */
export function runSamples(runId: string, seed: number) {
  return queryOptions({
    queryKey: ["run", runId, "samples", seed],
    queryFn: ({ signal }) =>
      body(
        client.GET("/api/runs/{run_id}/samples", {
          params: { path: { run_id: runId }, query: { seed, limit: 6 } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** How often the teacher was found without being named. */
export function blindTally(runId: string) {
  return queryOptions({
    queryKey: ["run", runId, "votes"],
    queryFn: ({ signal }) =>
      body(client.GET("/api/runs/{run_id}/votes", { params: { path: { run_id: runId } }, signal })),
  });
}

export function addVote(runId: string, isRight: boolean): Promise<Tally> {
  return body(
    client.POST("/api/runs/{run_id}/votes", {
      params: { path: { run_id: runId } },
      body: { is_right: isRight },
    }),
  );
}

export function clearVotes(runId: string): Promise<Tally> {
  return body(client.DELETE("/api/runs/{run_id}/votes", { params: { path: { run_id: runId } } }));
}

/** Adds a question as a line to a set, or to a new one. */
export function keepPrompt(kept: KeptPrompt): Promise<PromptSet> {
  return body(client.POST("/api/playground/kept", { body: kept }));
}

/**
 * Asks several models; `hear` gets what they say as it comes. Aborting the signal stops the work.
 * The answer is a stream of server-sent events, which openapi-fetch hands over unread.
 */
export async function askPlayground(
  question: PlaygroundQuestion,
  hear: (message: PlaygroundMessage) => void,
  signal: AbortSignal,
): Promise<void> {
  const { response, data, error } = await client.POST("/api/playground/ask", {
    body: question,
    parseAs: "stream",
    signal,
  });
  if (!response.ok) {
    throw isProblem(error) ? new ApiError(error) : new OfflineError();
  }
  const stream = data as ReadableStream<BufferSource> | null;
  const reader = stream?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    const { messages, left } = splitEvents(rest + value);
    rest = left;
    for (const text of messages) {
      hear(JSON.parse(text) as PlaygroundMessage);
    }
  }
}

/** The data of whole server-sent events, and the unfinished rest. */
export function splitEvents(text: string): { messages: string[]; left: string } {
  const blocks = text.split(/\r?\n\r?\n/);
  const left = blocks.pop() ?? "";
  const messages = blocks
    .map((block) =>
      block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n"),
    )
    .filter((data) => data !== "");
  return { messages, left };
}
