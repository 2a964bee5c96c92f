import type { SetConversion } from "@/api/types";

export const UNUSED = "unused";

/** What each column is said to be, as the conversion takes it: columns by their meaning. */
export function mappingOf(meanings: Record<string, string>): NonNullable<SetConversion["mapping"]> {
  const chosen = Object.entries(meanings).filter(([, meaning]) => meaning !== UNUSED);
  return Object.fromEntries(chosen.map(([column, meaning]) => [meaning, column]));
}

/** The meaning that two columns were given, of which only one can have it. */
export function givenTwice(meanings: Record<string, string>): string | undefined {
  const chosen = Object.values(meanings).filter((meaning) => meaning !== UNUSED);
  return chosen.find((meaning, place) => chosen.indexOf(meaning) !== place);
}
