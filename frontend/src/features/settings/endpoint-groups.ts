/** The routes of the API by what they are about. */
import type { Endpoint } from "@/api/endpoints";

export interface EndpointGroup {
  name: string;
  endpoints: readonly Endpoint[];
}

/** The routes in which all words occur, by what they are about, in the order of the API. */
export function groupsOf(all: readonly Endpoint[], words: string): readonly EndpointGroup[] {
  const wanted = words.trim().toLowerCase().split(/\s+/);
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of all) {
    const { method, path, words: said, group } = endpoint;
    const text = `${method} ${path} ${said} ${group}`.toLowerCase();
    if (wanted.every((word) => text.includes(word))) {
      groups.set(group, [...(groups.get(group) ?? []), endpoint]);
    }
  }
  return [...groups].map(([name, found]) => ({ name, endpoints: found }));
}
