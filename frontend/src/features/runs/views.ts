/** A saved view is the address of the list, without what was selected in it. */
import type { SavedView } from "@/api/types";
import { type RunSearch, runSearch } from "@/features/runs/listing";

export function viewOf(name: string, { selected: _, ...search }: RunSearch): SavedView {
  return { name, search: JSON.stringify(search) };
}

/** Everything that the list's address may hold: what the view says nothing of is taken back. */
export function searchOfView(view: SavedView): Partial<RunSearch> {
  const cleared = Object.fromEntries(Object.keys(runSearch.shape).map((key) => [key, undefined]));
  return { ...cleared, ...runSearch.parse(read(view.search)) };
}

function read(text: string): unknown {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}
