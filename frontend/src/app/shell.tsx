import { Outlet, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { Toaster } from "sonner";
import { useWorkspace } from "@/api/workspace";
import { ConnectionBanner } from "@/app/connection-banner";
import { PLACES } from "@/app/navigation";
import { useOverlays } from "@/app/overlays";
import { Rail } from "@/app/rail";
import { TopBar } from "@/app/top-bar";
import { type Shortcuts, useShortcuts } from "@/components/shortcuts";

const Palette = lazy(() => import("@/app/palette").then((module) => ({ default: module.Palette })));
const CheatSheet = lazy(() =>
  import("@/app/cheat-sheet").then((module) => ({ default: module.CheatSheet })),
);

export function Shell() {
  const navigate = useNavigate();
  const overlays = useOverlays();
  const isOffline = useWorkspace((workspace) => workspace.connection === "reconnecting");
  const shortcuts: Record<string, () => void> = {
    "mod+k": () => overlays.setPalette(true),
    "?": () => overlays.setCheatSheet(true),
  };
  for (const place of PLACES) {
    if (place.key) {
      shortcuts[`g ${place.key.toLowerCase()}`] = () => void navigate({ to: place.to });
    }
  }
  useShortcuts(shortcuts satisfies Shortcuts);

  return (
    <div className="flex h-full flex-col">
      <a
        href="#main"
        className="absolute -top-10 left-2 z-50 rounded-md bg-accent px-3 py-1 text-on-accent focus:top-2"
      >
        Skip to the page
      </a>
      <TopBar />
      {isOffline ? <ConnectionBanner /> : null}
      <div className="flex min-h-0 grow">
        <Rail />
        <main id="main" className="min-w-0 grow overflow-y-auto">
          <Outlet />
        </main>
      </div>
      <Suspense>
        {overlays.palette ? <Palette /> : null}
        {overlays.cheatSheet ? <CheatSheet /> : null}
      </Suspense>
      <Toaster
        position="bottom-right"
        toastOptions={{
          unstyled: true,
          classNames: {
            toast:
              "flex w-90 items-center gap-3 rounded-lg border border-line-strong bg-raised px-3 py-2 text-base shadow-popover",
            description: "text-muted",
            error: "!border-bad/60",
            actionButton: "ml-auto h-6 shrink-0 rounded-md border border-line-strong px-2 text-sm",
          },
        }}
      />
    </div>
  );
}
