import type { FormField } from "@/api/types";
import { isMapping, type Setting } from "@/features/new-run/draft";
import { teacherInWords } from "@/features/new-run/teachers";

/** A setting as it stands in a text box. */
export function wordsOf(value: Setting | undefined): string {
  if (value === null || value === undefined) {
    return "";
  }
  return Array.isArray(value) ? value.map(partInWords).join(", ") : String(value);
}

/** An entry of a list: a word, a teacher, or settings of a kind, as rewards are, with their weight. */
function partInWords(part: unknown): string {
  if (!isMapping(part)) {
    return String(part);
  }
  if (!("kind" in part)) {
    return `${part["name"]}: ${teacherInWords(part)}`;
  }
  const weight = "weight" in part ? Number(part["weight"]) : 1;
  return weight === 1 ? String(part["kind"]) : `${part["kind"]} × ${weight}`;
}

/** The unit beside a title; one that the title names already is not said twice. */
export function unitBeside({ title, unit }: Pick<FormField, "title" | "unit">): string | undefined {
  return unit === "" || title.toLowerCase().includes(unit.toLowerCase()) ? undefined : unit;
}

/** Names in choices that have letters of their own. */
const SPELLED: Readonly<Record<string, string>> = {
  vllm: "vLLM",
  sglang: "SGLang",
  opd: "opd",
  bfloat16: "bfloat16",
  int8: "int8",
};
/** What cannot be spoken as a word is an abbreviation. */
export const ABBREVIATION = /^[b-df-hj-np-tv-xz]{2,4}o?$/;

/** A choice as it is read: "by_teacher" is "By teacher". */
export function choiceInWords(choice: string): string {
  return choice
    .split("_")
    .map((word, place) => SPELLED[word] ?? spoken(word, place))
    .join(" ");
}

function spoken(word: string, place: number): string {
  return ABBREVIATION.test(word) ? word.toUpperCase() : place === 0 ? capital(word) : word;
}

function capital(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}

type Ranges = Pick<FormField, "kind" | "nullable" | "title"> &
  Partial<Pick<FormField, "minimum" | "maximum" | "above" | "below">>;

/**
 * What was typed as a setting, and what is wrong with it. What is wrong stays in the draft as it was
 * typed, so that no run starts with an older value than the one that is seen.
 */
export function parseSetting(field: Ranges, text: string): { value: Setting; mistake?: string } {
  const trimmed = text.trim();
  if (trimmed === "") {
    return field.nullable
      ? { value: null }
      : { value: "", mistake: `${field.title} must not be empty.` };
  }
  if (field.kind === "list") {
    // Labels may have spaces in them, names of layers have none.
    const parts = trimmed.split(trimmed.includes(",") ? "," : /\s+/).map((part) => part.trim());
    return { value: parts.filter(Boolean) };
  }
  if (field.kind !== "integer" && field.kind !== "number") {
    return { value: trimmed };
  }
  const number = Number(trimmed);
  if (!Number.isFinite(number) || (field.kind === "integer" && !Number.isInteger(number))) {
    return {
      value: trimmed,
      mistake: field.kind === "integer" ? "Type a whole number." : "Type a number.",
    };
  }
  const mistake = outOfRange(field, number);
  return mistake ? { value: number, mistake } : { value: number };
}

function outOfRange(
  { minimum, maximum, above, below }: Ranges,
  number: number,
): string | undefined {
  if (typeof minimum === "number" && number < minimum) {
    return `At least ${minimum}.`;
  }
  if (typeof maximum === "number" && number > maximum) {
    return `At most ${maximum}.`;
  }
  if (typeof above === "number" && number <= above) {
    return `More than ${above}.`;
  }
  return typeof below === "number" && number >= below ? `Less than ${below}.` : undefined;
}
