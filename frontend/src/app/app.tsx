import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect } from "react";
import { followMenu } from "@/api/desktop";
import { queryClient } from "@/api/query-client";
import { tellOfEndings } from "@/api/system-notices";
import { openWorkspace } from "@/api/workspace";
import { loadAllPages, router } from "@/app/router";
import { TooltipProvider } from "@/components/tooltip";

/** The first page comes first. */
const LOAD_REST_AFTER_MS = 3000;

export function App() {
  useEffect(() => openWorkspace(), []);
  useEffect(() => tellOfEndings(), []);
  useEffect(() => {
    const timer = setTimeout(() => void loadAllPages().catch(() => undefined), LOAD_REST_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => followMenu((path) => router.history.push(path)), []);
  return (
    <QueryClientProvider client={queryClient}>
      <TooltipProvider>
        <RouterProvider router={router} />
      </TooltipProvider>
    </QueryClientProvider>
  );
}
