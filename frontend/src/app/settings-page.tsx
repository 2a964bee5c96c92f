import { Link, useSearch } from "@tanstack/react-router";
import { useOverlays } from "@/app/overlays";
import { type Density, type Theme, usePreferences } from "@/app/preferences";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { PageHeader } from "@/components/page-header";
import { Segments, TabList, tabClass } from "@/components/tabs";
import { HubTokenForm } from "@/features/hub/hub-token";
import { ApiCard } from "@/features/settings/api-card";
import { Diagnostics } from "@/features/settings/diagnostics";
import { EndpointList } from "@/features/settings/endpoint-list";
import { Folders } from "@/features/settings/folders";
import { NoticesCard } from "@/features/settings/notices-card";
import { ReservesForm } from "@/features/settings/reserves-form";

/** The API for other programs, and behind a tab of its own what this program does itself. */
export function SettingsPage() {
  const { tab = "api" } = useSearch({ from: "/settings" });
  return (
    <div className="flex flex-col">
      <PageHeader title="API and settings" />
      <TabList label="Parts of the settings">
        {TABS.map(({ id, label }) => (
          <Link
            key={id}
            to="/settings"
            search={id === "api" ? {} : { tab: id }}
            aria-current={id === tab ? "page" : undefined}
            className={tabClass(id === tab)}
          >
            {label}
          </Link>
        ))}
      </TabList>
      {tab === "api" ? <Api /> : <Settings />}
    </div>
  );
}

const TABS = [
  { id: "api", label: "API" },
  { id: "settings", label: "Settings" },
] as const;

function Api() {
  return (
    <div className="grid items-start gap-3 p-4 lg:grid-cols-2">
      <ApiCard />
      <div className="min-w-0 lg:col-span-2">
        <EndpointList />
      </div>
    </div>
  );
}

function Settings() {
  return (
    <div className="grid items-start gap-3 p-4 lg:grid-cols-2">
      <div className="flex min-w-0 flex-col gap-3">
        <Appearance />
        <Card title="Reserves">
          <ReservesForm />
        </Card>
        <NoticesCard />
        <Card title="Hugging Face token">
          <HubTokenForm />
        </Card>
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        <Folders />
        <Diagnostics />
      </div>
    </div>
  );
}

const THEMES: readonly { value: Theme; label: string }[] = [
  { value: "system", label: "System" },
  { value: "dark", label: "Dark" },
  { value: "light", label: "Light" },
];

const DENSITIES: readonly { value: Density; label: string }[] = [
  { value: "compact", label: "Compact" },
  { value: "standard", label: "Standard" },
  { value: "large", label: "Large" },
];

function Appearance() {
  const { theme, setTheme, density, setDensity } = usePreferences();
  const setCheatSheet = useOverlays((overlays) => overlays.setCheatSheet);
  return (
    <Card title="Appearance">
      <div className="flex items-center justify-between">
        Theme
        <Segments label="Theme" value={theme} choices={THEMES} onChange={setTheme} />
      </div>
      <div className="mt-2 flex items-center justify-between">
        Size
        <Segments label="Size" value={density} choices={DENSITIES} onChange={setDensity} />
      </div>
      <div className="mt-2 flex items-center justify-between">
        Keyboard shortcuts
        <Button size="sm" onClick={() => setCheatSheet(true)}>
          Show
        </Button>
      </div>
    </Card>
  );
}
