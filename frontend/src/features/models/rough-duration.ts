import { formatCount, formatDuration } from "@/components/format";

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** A forecast's time: beyond ten hours the minutes say nothing, beyond ten days the hours. */
export function roughDuration(seconds: number): string {
  if (seconds < 10 * HOUR_SECONDS) {
    return formatDuration(seconds);
  }
  return seconds < 10 * DAY_SECONDS
    ? `${Math.round(seconds / HOUR_SECONDS)} h`
    : `${formatCount(Math.round(seconds / DAY_SECONDS))} d`;
}
