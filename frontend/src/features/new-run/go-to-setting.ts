const PREFIX = "setting=";
const TRIES = 40;
const EVERY_MS = 50;

/** The end of an address that leads to a setting. */
export function hashOf(key: string): string {
  return `${PREFIX}${key}`;
}

/** The setting to which an address leads, if it does. */
export function settingOfHash(hash: string): string | null {
  return hash.startsWith(PREFIX) ? hash.slice(PREFIX.length) : null;
}

/** Moves the focus to a setting's control, as soon as the page has it; what is folded away opens. */
export function goToSetting(key: string, tries = TRIES): void {
  const place = placeOf(key);
  const control = place?.querySelector<HTMLElement>(
    "input:not([type=file]), select, button, textarea",
  );
  if (!place || !control) {
    if (tries > 0) {
      setTimeout(() => goToSetting(key, tries - 1), EVERY_MS);
    }
    return;
  }
  for (let up = place.parentElement; up; up = up.parentElement) {
    if (up instanceof HTMLDetailsElement) {
      up.open = true;
    }
  }
  control.focus({ preventScroll: true });
  place.scrollIntoView({ block: "center" });
}

/** The setting's own place, else that of the first that belongs to it, else of the entry it is in. */
function placeOf(key: string): HTMLElement | null {
  const find = (test: string) => document.querySelector<HTMLElement>(`[data-setting${test}]`);
  const entry = key.replace(/(\.\d+)\..*$/, "$1");
  return (
    find(`="${CSS.escape(key)}"`) ??
    find(`^="${CSS.escape(key)}."`) ??
    find(`="${CSS.escape(entry)}"`)
  );
}
