import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "@/api/problem";

/** The workspace stream tells what changed, so nothing is asked again by the clock. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      networkMode: "always",
      retry: (failures, error) => !(error instanceof ApiError) && failures < 2,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 4000),
    },
    mutations: { networkMode: "always", retry: false },
  },
});
