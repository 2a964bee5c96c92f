import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect } from "react";
import { followMenu } from "@/api/desktop";
import { queryClient } from "@/api/query-client";
import { openWorkspace } from "@/api/workspace";
import { router } from "@/app/router";
import { TooltipProvider } from "@/components/tooltip";

export function App() {
  useEffect(() => openWorkspace(), []);
  useEffect(() => followMenu((path) => router.history.push(path)), []);
  return (
    <QueryClientProvider client={queryClient}>
      <TooltipProvider>
        <RouterProvider router={router} />
      </TooltipProvider>
    </QueryClientProvider>
  );
}
