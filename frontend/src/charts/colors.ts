import { useSyncExternalStore } from "react";
import type { CurveRole } from "@/charts/curves";

const ROLE_TOKENS: Record<CurveRole, string> = {
  student: "--color-student",
  teacher: "--color-teacher",
  base: "--color-base",
  evaluation: "--color-student",
  learning: "--color-student",
  scoring: "--color-teacher",
};

const DASHED: ReadonlySet<CurveRole | number> = new Set(["base", "evaluation"]);

/** The CSS colour of a role; several runs beside each other take one colour each. */
export function roleColor(role: CurveRole | number): string {
  return typeof role === "number"
    ? `var(--color-run-${(role % 8) + 1})`
    : `var(${ROLE_TOKENS[role]})`;
}

export function roleDash(role: CurveRole | number): number[] {
  return DASHED.has(role) ? [5, 4] : [];
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
