import { queryOptions } from "@tanstack/react-query";

/** Why the stream does not come: nobody answers, or the token of this page is not the right one. */
export type Reach = "gone" | "refused" | "there";

const AGAIN_MS = 4000;

export function reach() {
  return queryOptions({
    queryKey: ["reach"],
    queryFn: ({ signal }) => findOut(signal),
    refetchInterval: AGAIN_MS,
    retry: false,
    gcTime: 0,
  });
}

async function findOut(signal: AbortSignal): Promise<Reach> {
  try {
    const answer = await fetch("/api/instance", { signal });
    return reachOf(answer.status);
  } catch (error) {
    if (signal.aborted) {
      throw error;
    }
    return "gone";
  }
}

export function reachOf(status: number): Reach {
  return status === 401 || status === 403 ? "refused" : status >= 500 ? "gone" : "there";
}
