import { ABBREVIATION, choiceInWords } from "@/features/new-run/setting-text";
import { keysInWords } from "@/features/runs/key-names";

/** A setting's description with the names of settings and choices that one sees on the screen. */
export function inWords(
  text: string,
  titles: ReadonlyMap<string, string>,
  choices: readonly string[] = [],
): string {
  const named = choices
    .filter((choice) => choice.includes("_") || ABBREVIATION.test(choice))
    .reduce(
      (so, choice) => so.replace(new RegExp(`\\b${choice}\\b`, "g"), choiceInWords(choice)),
      text,
    );
  return keysInWords(named, titles);
}
