/** Which line of the list is which run, where runs stand in groups that may be closed. */
import type { RunGroup } from "@/api/types";

export type ListRow =
  | { kind: "group"; group: RunGroup; isOpen: boolean }
  /** `index` is the run's place in the list without groups. */
  | { kind: "run"; index: number };

export interface ListRows {
  count: number;
  at: (line: number) => ListRow;
  /** The place of the first run at a line or behind it. */
  runAt: (line: number) => number;
}

interface Part {
  line: number;
  run: number;
  group: RunGroup;
  isOpen: boolean;
}

/** How a group is told from the others; runs without a value are one of them. */
export function groupName({ value }: RunGroup): string {
  return value ?? "";
}

/** The lines of a list; null groups are a list without any. */
export function rowsOf(
  groups: readonly RunGroup[] | null,
  closed: ReadonlySet<string>,
  total: number,
): ListRows {
  if (!groups) {
    return { count: total, at: (index) => ({ kind: "run", index }), runAt: (line) => line };
  }
  const parts: Part[] = [];
  let line = 0;
  let run = 0;
  for (const group of groups) {
    const isOpen = !closed.has(groupName(group));
    parts.push({ line, run, group, isOpen });
    line += 1 + (isOpen ? group.count : 0);
    run += group.count;
  }
  return {
    count: line,
    at: (wanted) => {
      const part = partAt(parts, wanted);
      return wanted === part.line
        ? { kind: "group", group: part.group, isOpen: part.isOpen }
        : { kind: "run", index: part.run + wanted - part.line - 1 };
    },
    runAt: (wanted) => {
      const part = partAt(parts, wanted);
      return part.run + Math.max(0, wanted - part.line - 1);
    },
  };
}

/** The last part that begins at a line or before it. */
function partAt(parts: readonly Part[], line: number): Part {
  let [low, high] = [0, parts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((parts[middle]?.line ?? 0) <= line) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const part = parts[low];
  if (!part) {
    throw new Error("A list of groups without any has no lines.");
  }
  return part;
}
