import { useEffect, useRef } from "react";

/** "mod+k", "/", "g r" (g, then r within a second), "?", "enter"; lower case. */
export type Shortcuts = Readonly<Record<string, (() => void) | undefined>>;

const SEQUENCE_MS = 1000;

interface KeyPress {
  key: string;
  metaKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
}

/** The name of a key press, as shortcuts spell it. */
export function nameOfPress({ key, metaKey, ctrlKey, altKey }: KeyPress): string {
  return `${metaKey || ctrlKey ? "mod+" : ""}${altKey ? "alt+" : ""}${key.toLowerCase()}`;
}

/** What begins a sequence: a key that follows it is never meant alone, on whichever part of the page. */
const LEADER = "g";

/** The shortcut a press completes: a sequence with the press before it, else the press alone. */
export function matchShortcut(
  shortcuts: Shortcuts,
  before: string | null,
  press: string,
): (() => void) | undefined {
  const whole = before === null ? undefined : shortcuts[`${before} ${press}`];
  return whole ?? (before === LEADER ? undefined : shortcuts[press]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) ||
      target.closest("[role=dialog], [role=listbox], [role=menu]") !== null)
  );
}

/** Listens while mounted; keys with a modifier work while typing too. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    let before: { press: string; time: number } | null = null;
    function onKeyDown(event: KeyboardEvent) {
      const press = nameOfPress(event);
      if (event.defaultPrevented || (isTyping(event.target) && !press.startsWith("mod+"))) {
        return;
      }
      const recent = before && event.timeStamp - before.time < SEQUENCE_MS ? before.press : null;
      const action = matchShortcut(latest.current, recent, press);
      before = action ? null : { press, time: event.timeStamp };
      if (action) {
        event.preventDefault();
        action();
      }
    }
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
