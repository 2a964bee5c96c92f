/** The API's own description of itself, as a list. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

const Operation = z.object({
  summary: z.string().optional(),
  description: z.string().optional(),
  tags: z.array(z.string()).optional(),
});
const Description = z.object({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
});

export interface Endpoint {
  method: string;
  path: string;
  words: string;
  group: string;
  /** Whether it can be asked as it stands: it only reads, and its path has no blanks. */
  canBeTried: boolean;
}

/** The operations of an OpenAPI document in its own order; throws on what is no such document. */
export function listEndpoints(document: unknown): readonly Endpoint[] {
  return Object.entries(Description.parse(document).paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { summary, description, tags }]) => ({
      method: method.toUpperCase(),
      path,
      words: description?.split("\n")[0] ?? summary ?? "",
      group: tags?.[0] ?? "other",
      canBeTried: method === "get" && !path.includes("{"),
    })),
  );
}

export function endpoints() {
  return queryOptions({
    queryKey: ["endpoints"],
    queryFn: async ({ signal }) => listEndpoints(await ask("/api/openapi.json", signal)),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** What an address answers, as JSON; throws an Error with the answer's words. */
export async function ask(path: string, signal?: AbortSignal): Promise<unknown> {
  const answer = await fetch(path, signal ? { signal } : {});
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  return answer.json();
}
