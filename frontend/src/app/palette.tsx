import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { Keyboard, Moon, PanelLeft, Sun, SunMoon } from "lucide-react";
import { type ReactNode, useState } from "react";
import { runPage } from "@/api/runs";
import { PLACES } from "@/app/navigation";
import { useOverlays } from "@/app/overlays";
import { usePreferences } from "@/app/preferences";
import { useRail } from "@/app/use-rail";
import { KeyHint } from "@/components/key-hint";
import { RunStateDot } from "@/features/runs/run-state";

const MOST_RUNS = 8;

/** Search over pages, commands and the workspace's runs. */
export function Palette() {
  const { setPalette, setCheatSheet } = useOverlays();
  const setTheme = usePreferences((preferences) => preferences.setTheme);
  const rail = useRail();
  const navigate = useNavigate();
  const [words, setWords] = useState("");
  const runs = useQuery(runPage({ search: words, limit: MOST_RUNS, archived: "all" }));
  const close = (action: () => void) => () => {
    setPalette(false);
    action();
  };
  return (
    <Command.Dialog
      open
      onOpenChange={setPalette}
      label="Search runs and commands"
      overlayClassName="fixed inset-0 z-40 bg-scrim"
      contentClassName="fixed top-[12vh] left-1/2 z-50 w-[min(600px,92vw)] -translate-x-1/2 overflow-hidden rounded-lg border border-line-strong bg-raised shadow-popover"
    >
      <Command.Input
        value={words}
        onValueChange={setWords}
        placeholder="Search runs and commands"
        className="h-11 w-full border-b bg-transparent px-4 outline-none"
      />
      <Command.List className="max-h-[50vh] overflow-y-auto p-1 [&_[cmdk-group-heading]]:label [&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1">
        <Command.Empty className="px-3 py-6 text-center text-muted">Nothing found.</Command.Empty>
        <Command.Group heading="Pages">
          {PLACES.map((place) => (
            <Entry
              key={place.to}
              value={`go ${place.label}`}
              icon={<place.icon aria-hidden />}
              keys={place.key ? `G ${place.key}` : undefined}
              onSelect={close(() => void navigate({ to: place.to }))}
            >
              {place.label}
            </Entry>
          ))}
        </Command.Group>
        <Command.Group heading="Runs">
          {(runs.data?.runs ?? []).map((run) => (
            <Entry
              key={run.run_id}
              value={`${run.name} ${run.run_id} ${run.student} ${run.teacher ?? ""}`}
              icon={<RunStateDot state={run.state} />}
              onSelect={close(
                () => void navigate({ to: "/runs/$runId", params: { runId: run.run_id } }),
              )}
            >
              {run.name}
              <span className="truncate text-muted">{run.run_id}</span>
            </Entry>
          ))}
        </Command.Group>
        <Command.Group heading="Commands">
          <Entry value="dark theme" icon={<Moon />} onSelect={close(() => setTheme("dark"))}>
            Use the dark theme
          </Entry>
          <Entry value="light theme" icon={<Sun />} onSelect={close(() => setTheme("light"))}>
            Use the light theme
          </Entry>
          <Entry value="system theme" icon={<SunMoon />} onSelect={close(() => setTheme("system"))}>
            Follow the system's theme
          </Entry>
          <Entry value="rail sidebar" icon={<PanelLeft />} onSelect={close(rail.toggle)}>
            Collapse or expand the rail
          </Entry>
          <Entry
            value="keyboard shortcuts help"
            icon={<Keyboard />}
            keys="?"
            onSelect={close(() => setCheatSheet(true))}
          >
            Show keyboard shortcuts
          </Entry>
        </Command.Group>
      </Command.List>
    </Command.Dialog>
  );
}

interface EntryProps {
  value: string;
  icon: ReactNode;
  keys?: string | undefined;
  onSelect: () => void;
  children: ReactNode;
}

function Entry({ value, icon, keys, onSelect, children }: EntryProps) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex h-8 items-center gap-2 rounded-sm px-2 data-[selected=true]:bg-hover [&_svg]:size-3.5 [&_svg]:text-faint"
    >
      {icon}
      {children}
      {keys ? (
        <span className="ml-auto">
          <KeyHint keys={keys} />
        </span>
      ) : null}
    </Command.Item>
  );
}
