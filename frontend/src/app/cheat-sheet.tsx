import { PLACES } from "@/app/navigation";
import { useOverlays } from "@/app/overlays";
import { Dialog } from "@/components/dialog";
import { KeyHint } from "@/components/key-hint";

const GROUPS: readonly { title: string; keys: readonly (readonly [string, string])[] }[] = [
  {
    title: "Everywhere",
    keys: [
      ["⌘ K", "Search runs and commands"],
      ["?", "Show this list"],
      ...PLACES.flatMap((place) => (place.key ? [[`G ${place.key}`, place.label] as const] : [])),
    ],
  },
  {
    title: "In the list of runs",
    keys: [
      ["/", "Search"],
      ["J", "Next run"],
      ["K", "Previous run"],
      ["X", "Select the run"],
      ["C", "Compare the selected runs"],
      ["P", "Pause or resume the run"],
      ["Enter", "Open the run or the group"],
      ["Esc", "Clear the selection"],
    ],
  },
  {
    title: "On the page of a run",
    keys: [
      ["P", "Pause or resume the run"],
      ["1 – 5", "Open a tab"],
    ],
  },
  {
    title: "On a chart",
    keys: [
      ["← →", "Move the cursor"],
      ["⇧ ← →", "Move a zoomed chart"],
      ["Home", "First point"],
      ["End", "Last point"],
      ["Esc", "Show everything"],
    ],
  },
];

export function CheatSheet() {
  const setCheatSheet = useOverlays((overlays) => overlays.setCheatSheet);
  return (
    <Dialog open onOpenChange={setCheatSheet} title="Keyboard shortcuts">
      <div className="grid grid-cols-2 gap-6">
        {GROUPS.map((group) => (
          <section key={group.title}>
            <h3 className="label mb-1">{group.title}</h3>
            <dl>
              {group.keys.map(([keys, meaning]) => (
                <div key={keys} className="flex h-7 items-center justify-between gap-3">
                  <dt>{meaning}</dt>
                  <dd>
                    <KeyHint keys={keys} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
