import { expect, test } from "vitest";
import type { EventOf } from "@/api/types";
import { groupAlarms } from "@/features/run/alarms";

function alarm(seq: number, code: string): EventOf<"warning"> {
  return { kind: "warning", seq, time: seq, step: seq, code, message: code, action: "" };
}

test("an alarm told again stands once, with its last time and its count, newest first", () => {
  const grouped = groupAlarms([
    alarm(1, "truncation"),
    alarm(2, "plateau"),
    alarm(3, "truncation"),
  ]);
  expect(grouped.map(({ alarm: { seq }, count }) => [seq, count])).toEqual([
    [3, 2],
    [2, 1],
  ]);
});
