import type { ExportForm, ExportOptions } from "@/api/types";

export const FORM_WORDS: Record<ExportForm, { title: string; what: string }> = {
  adapter: {
    title: "Adapter",
    what: "The trained weights alone, for mlx-lm beside the base model.",
  },
  peft: {
    title: "PEFT adapter",
    what: "The same weights in PEFT's form, for transformers beside the base model.",
  },
  fused: {
    title: "Fused model",
    what: "The adapter folded in: a model folder for mlx-lm and LM Studio.",
  },
  quantized: {
    title: "Quantized model",
    what: "Fused, then packed into fewer bits: smaller and faster, slightly less exact.",
  },
  gguf: {
    title: "GGUF",
    what: "One file for llama.cpp, LM Studio and Ollama: Qwen, and some Llama models.",
  },
};

/** Whether a form is made of the whole model, which then has to be in memory. */
export function loadsModel(form: ExportForm): boolean {
  return form !== "adapter" && form !== "peft";
}

/** Bits of a scale and a bias that each group of packed weights shares. */
const BITS_PER_GROUP = 32;

export interface Packing {
  bits: number;
  groupSize: number;
}

/** About what a form weighs; the packed one follows its settings. */
export function expectedBytes(
  options: ExportOptions,
  form: ExportForm,
  packing: Packing,
): number | null {
  if (form === "quantized" && options.num_parameters !== null) {
    return (options.num_parameters * (packing.bits + BITS_PER_GROUP / packing.groupSize)) / 8;
  }
  return options.forms.find((option) => option.form === form)?.num_bytes ?? null;
}

/** A folder name out of a run's name, the step and the form, not taken yet. */
export function suggestName(
  run: string,
  step: number,
  form: ExportForm,
  taken: readonly string[],
): string {
  const words = run.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "");
  const base = `${words.slice(0, 48) || "student"}-${step}-${form}`;
  let name = base;
  for (let number = 2; taken.includes(name); number += 1) {
    name = `${base}-${number}`;
  }
  return name;
}
