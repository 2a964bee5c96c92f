import type { QueueView } from "@/api/types";

/** The list with one item moved to a place; out of range means the end that is nearer. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const rest = list.filter((_, index) => index !== from);
  const item = list[from];
  if (item === undefined) {
    return [...list];
  }
  rest.splice(Math.min(Math.max(to, 0), rest.length), 0, item);
  return rest;
}

/** The run that could start but for the memory that others hold; null where none waits for that. */
export function heldBack(queue: QueueView | null): string | null {
  return queue?.waits_for_memory ? (queue.queue[0]?.run_id ?? null) : null;
}
