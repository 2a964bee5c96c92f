import { queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import { ApiError, isProblem, OfflineError } from "@/api/problem";
import type { PlaygroundMessage, PlaygroundQuestion } from "@/api/types";

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
