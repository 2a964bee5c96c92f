import { expect, test } from "vitest";
import type { RunGroup } from "@/api/types";
import { rowsOf } from "@/features/runs/rows";

function group(value: string | null, count: number): RunGroup {
  return { value, count, columns: {} };
}

function lines(closed: string[]): string[] {
  const rows = rowsOf([group("a", 2), group("b", 3), group(null, 1)], new Set(closed), 6);
  return Array.from({ length: rows.count }, (_, line) => {
    const row = rows.at(line);
    return row.kind === "group" ? `${row.group.value}:${row.isOpen}` : String(row.index);
  });
}

test("every group has a line of its own before its runs", () => {
  expect(lines([])).toEqual(["a:true", "0", "1", "b:true", "2", "3", "4", "null:true", "5"]);
});

test("a closed group hides its runs, and those behind it keep their places", () => {
  expect(lines(["a", ""])).toEqual(["a:false", "b:true", "2", "3", "4", "null:false"]);
});

test("the runs of the lines on the screen are known, so that their pages are asked for", () => {
  const rows = rowsOf([group("a", 2), group("b", 3)], new Set(["a"]), 5);
  expect([rows.runAt(0), rows.runAt(1), rows.runAt(2), rows.runAt(4)]).toEqual([0, 2, 2, 4]);
  const plain = rowsOf(null, new Set(), 9);
  expect([plain.count, plain.runAt(7)]).toEqual([9, 7]);
});
