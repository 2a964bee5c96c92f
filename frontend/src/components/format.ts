/** Numbers and times as people read them; units stand beside them, muted. */

const MINUS = "\u2212";

/** Kept, because making one takes longer than a row of a list may. */
const GROUPED = new Map<number, Intl.NumberFormat>();

function grouped(maximumFractionDigits: number): Intl.NumberFormat {
  const known = GROUPED.get(maximumFractionDigits);
  if (known) {
    return known;
  }
  const made = new Intl.NumberFormat("en-US", { maximumFractionDigits });
  GROUPED.set(maximumFractionDigits, made);
  return made;
}

/** Four significant digits at most, no trailing zeros; tiny numbers as 1.2e-5. */
export function formatNumber(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? "∞" : `${MINUS}∞`;
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    return value
      .toExponential(Math.min(digits, 3) - 1)
      .replace("e+", "e")
      .replace(/^-/, MINUS);
  }
  const decimals = size >= 1000 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size || 1)));
  return grouped(Math.min(decimals, digits)).format(value).replace(/^-/, MINUS);
}

export function formatCount(value: number): string {
  return grouped(0).format(value);
}

/** "1 run", "2 runs", "1,200 runs". */
export function formatPlural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** One decimal, so that a figure that changes all the time keeps its width. */
export function formatGigabytes(gigabytes: number): string {
  return gigabytes.toFixed(1);
}

/** A machine's memory as it is sold and as `opd plan` names it: 128 GB are 2^37 bytes. */
export function formatMemory(gigabytes: number): string {
  return formatGigabytes((gigabytes * 1e9) / 2 ** 30);
}

/** A share (0 to 1) as a percentage without its sign. */
export function formatPercent(share: number | null | undefined, decimals = 1): string {
  return share === null || share === undefined || Number.isNaN(share)
    ? "–"
    : (share * 100).toFixed(decimals);
}

/** A probability as a percentage without its sign; what would round to nothing says so. */
export function formatProbability(probability: number): string {
  return probability > 0 && probability < 0.0005 ? "<0.1" : formatPercent(probability);
}

/** "4 s", "12 min", "3 h 5 min", "2 d 4 h": two units at most. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return "–";
  }
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  if (seconds < 90) {
    return `${Math.round(seconds)} s`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  }
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

/** Bytes in decimal units, as disks and Finder count them. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  return `${formatNumber(bytes / 1000 ** power, 3)} ${units[power] ?? "B"}`;
}

/** "just now", "5 min ago", "yesterday"-free: beyond a week it is the date. */
export function formatAgo(unixSeconds: number, now = Date.now() / 1000): string {
  const ago = now - unixSeconds;
  if (ago < 45) {
    return "just now";
  }
  if (ago < 3600) {
    return `${Math.max(1, Math.round(ago / 60))} min ago`;
  }
  if (ago < 86_400) {
    return `${Math.round(ago / 3600)} h ago`;
  }
  return ago < 7 * 86_400 ? `${Math.round(ago / 86_400)} d ago` : formatDate(unixSeconds);
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export function formatDate(unixSeconds: number): string {
  return DAY.format(unixSeconds * 1000);
}

export function formatTime(unixSeconds: number): string {
  return MOMENT.format(unixSeconds * 1000);
}
