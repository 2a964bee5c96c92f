/** How answers are drawn, as typed and as sent; the same for every model. */
import type { PlaygroundQuestion } from "@/api/types";

export type SamplingText = Readonly<Record<SamplingKey, string>>;
export type SamplingKey = "temperature" | "top_p" | "seed" | "max_tokens";

interface SamplingField {
  key: SamplingKey;
  label: string;
  min: number;
  max: number;
  step: number;
  wrong: string;
}

export const SAMPLING_FIELDS: readonly SamplingField[] = [
  { key: "temperature", label: "Temperature", min: 0, max: 4, step: 0.1, wrong: "From 0 to 4" },
  { key: "top_p", label: "Top p", min: 0.01, max: 1, step: 0.05, wrong: "Above 0, at most 1" },
  { key: "seed", label: "Seed", min: 0, max: 2 ** 31 - 1, step: 1, wrong: "A whole number" },
  {
    key: "max_tokens",
    label: "Max tokens",
    min: 1,
    max: 16_384,
    step: 1,
    wrong: "From 1 to 16,384",
  },
];

export const USUAL_SAMPLING: SamplingText = {
  temperature: "0",
  top_p: "1",
  seed: "0",
  max_tokens: "256",
};

/** What is wrong with a field; empty where nothing is. */
export function wrongIn({ key, min, max, step, wrong }: SamplingField, text: SamplingText): string {
  const value = Number(text[key]);
  const isWhole = step < 1 || Number.isInteger(value);
  return text[key].trim() !== "" && value >= min && value <= max && isWhole ? "" : wrong;
}

export function samplingOf(text: SamplingText): NonNullable<PlaygroundQuestion["sampling"]> {
  return {
    temperature: Number(text.temperature),
    top_p: Number(text.top_p),
    seed: Number(text.seed),
    max_tokens: Number(text.max_tokens),
    top_k: 0,
    min_p: 0,
  };
}

const DRAWN_SEEDS = 100_000;

/** A seed drawn anew, short enough to be read aloud. */
export function drawnSeed(drawn = Math.random()): string {
  return String(Math.floor(drawn * DRAWN_SEEDS));
}

/** For the same question once more: another seed where one has an effect. */
export function redrawn(text: SamplingText): SamplingText {
  return Number(text.temperature) > 0 ? { ...text, seed: drawnSeed() } : text;
}
