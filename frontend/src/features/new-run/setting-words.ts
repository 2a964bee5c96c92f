import type { FormField } from "@/api/types";
import { ABBREVIATION, choiceInWords } from "@/features/new-run/setting-text";

/** Words that are spelled as settings are; others too where they stand in backquotes. */
const KEY = /`([a-z][a-z0-9_.]*)`|(?<![\w./-])([a-z][a-z0-9.]*(?:_[a-z0-9]+)+)(?![\w/-])/g;

/** What settings of a block are called on the screen, by what they are called in files. */
export function titlesOf(fields: readonly FormField[], block: string): ReadonlyMap<string, string> {
  const own = fields.filter(({ key }) => key.startsWith(`${block}.`));
  const parts = own.flatMap((field) => [field, ...field.parts]);
  return new Map(parts.map(({ key, title }) => [nameOf(key), title]));
}

/** A sentence from the settings' own descriptions, with the names that one sees on the screen. */
export function inWords(
  text: string,
  titles: ReadonlyMap<string, string>,
  choices: readonly string[] = [],
): string {
  const named = text.replace(KEY, (found, quoted?: string, plain?: string) => {
    const key = quoted ?? plain ?? found;
    const title = titles.get(nameOf(key));
    if (choices.includes(key)) {
      return choiceInWords(key);
    }
    return title === undefined ? found : `\u201c${title}\u201d`;
  });
  const short = choices.filter((choice) => ABBREVIATION.test(choice));
  return short.reduce(
    (so, choice) => so.replace(new RegExp(`\\b${choice}\\b`, "g"), choiceInWords(choice)),
    named,
  );
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}
