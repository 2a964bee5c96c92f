import { useSyncExternalStore } from "react";
import type { CurveRole } from "@/charts/curves";

const ROLE_TOKENS: Record<CurveRole, string> = {
  student: "--color-student",
  teacher: "--color-teacher",
  base: "--color-base",
  evaluation: "--color-student",
  shuffled: "--color-base",
  blank: "--color-base",
  learning: "--color-student",
  scoring: "--color-teacher",
};

/** What is measured now and then is dashed; of the two controls one is dotted. */
const STROKES: Partial<Record<CurveRole, Stroke>> = {
  base: "dashed",
  evaluation: "dashed",
  shuffled: "dashed",
  blank: "dotted",
};
const DASHES: Record<Stroke, number[]> = { solid: [], dashed: [5, 4], dotted: [1.5, 3] };

export type Stroke = "solid" | "dashed" | "dotted";

/** The CSS colour of a role; several runs beside each other take one colour each. */
export function roleColor(role: CurveRole | number): string {
  return typeof role === "number"
    ? `var(--color-run-${(role % 8) + 1})`
    : `var(${ROLE_TOKENS[role]})`;
}

export function roleStroke(role: CurveRole | number): Stroke {
  return (typeof role === "number" ? undefined : STROKES[role]) ?? "solid";
}

export function roleDash(role: CurveRole | number): number[] {
  return DASHES[roleStroke(role)];
}

/** A CSS colour as the canvas understands it, in the theme of the moment. */
export function resolveColor(css: string): string {
  const probe = document.createElement("span");
  probe.style.color = css;
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

export function withAlpha(css: string, percent: number): string {
  return resolveColor(`color-mix(in oklab, ${css} ${percent}%, transparent)`);
}

/** "dark" or "light" as it is drawn now; canvases must be drawn again when it changes. */
export function useColorScheme(): "dark" | "light" {
  return useSyncExternalStore(watchScheme, currentScheme);
}

const darkSystem = window.matchMedia("(prefers-color-scheme: dark)");

function currentScheme(): "dark" | "light" {
  const chosen = document.documentElement.style.colorScheme;
  if (chosen === "dark" || chosen === "light") {
    return chosen;
  }
  return darkSystem.matches ? "dark" : "light";
}

function watchScheme(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  darkSystem.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    darkSystem.removeEventListener("change", changed);
  };
}
