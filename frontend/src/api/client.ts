import createClient from "openapi-fetch";
import { ApiError, isProblem, OfflineError } from "@/api/problem";
import type { paths } from "@/api/schema";

export const client = createClient<paths>({
  baseUrl: "/",
  credentials: "same-origin",
  fetch: reach,
});

async function reach(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      throw error;
    }
    throw new OfflineError();
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; throws ApiError for any other. */
export async function body<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) {
    // A 204 has no body; its type says so.
    return data as T;
  }
  throw new ApiError(
    isProblem(error)
      ? error
      : {
          type: "about:blank",
          title: response.statusText,
          status: response.status,
          code: "unknown",
          detail: `The backend answered ${response.status}.`,
          action: "Try again; if it stays, look at the backend's output.",
          errors: [],
        },
  );
}
