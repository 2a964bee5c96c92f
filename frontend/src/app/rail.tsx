import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { PanelLeftClose, PanelLeftOpen } from "lucide-react";
import { PLACES, type Place } from "@/app/navigation";
import { useRail } from "@/app/use-rail";
import { KeyHint } from "@/components/key-hint";
import { Tooltip } from "@/components/tooltip";

const ITEM =
  "group flex h-8 items-center gap-2 rounded-md px-2 text-muted hover:bg-hover hover:text-ink [&_svg]:size-4 [&_svg]:shrink-0";

export function Rail() {
  const { isCollapsed, toggle } = useRail();
  return (
    <nav
      aria-label="Pages"
      className={clsx(
        "flex shrink-0 flex-col gap-0.5 border-r bg-page p-2",
        isCollapsed ? "w-12" : "w-48",
      )}
    >
      {PLACES.map((place) => (
        <RailLink key={place.to} place={place} collapsed={isCollapsed} />
      ))}
      <button
        type="button"
        onClick={toggle}
        aria-label={isCollapsed ? "Expand the rail" : "Collapse the rail"}
        aria-expanded={!isCollapsed}
        className={clsx(ITEM, "mt-auto")}
      >
        {isCollapsed ? <PanelLeftOpen aria-hidden /> : <PanelLeftClose aria-hidden />}
        {isCollapsed ? null : "Collapse"}
      </button>
    </nav>
  );
}

function RailLink({ place, collapsed }: { place: Place; collapsed: boolean }) {
  const Icon = place.icon;
  const link = (
    <Link
      to={place.to}
      activeOptions={{ exact: place.to === "/", includeSearch: false }}
      className={ITEM}
      activeProps={{ className: "bg-selected !text-ink font-medium" }}
      {...(collapsed ? { "aria-label": place.label } : {})}
    >
      <Icon aria-hidden />
      {collapsed ? null : place.label}
      {collapsed || !place.key ? null : (
        <span aria-hidden className="ml-auto hidden group-hover:block">
          <KeyHint keys={`G ${place.key}`} />
        </span>
      )}
    </Link>
  );
  return collapsed ? (
    <Tooltip content={place.label} side="right">
      {link}
    </Tooltip>
  ) : (
    link
  );
}
