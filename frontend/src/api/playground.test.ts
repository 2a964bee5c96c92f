import { expect, test } from "vitest";
import { splitEvents } from "@/api/playground";

test("whole events are taken and a torn one waits for its rest", () => {
  const { messages, left } = splitEvents('data: {"a":1}\n\ndata: {"b":2}\n\ndata: {"c"');
  expect(messages).toEqual(['{"a":1}', '{"b":2}']);
  expect(left).toBe('data: {"c"');
});

test("comments that keep the connection open say nothing", () => {
  expect(splitEvents(": ping\n\n")).toEqual({ messages: [], left: "" });
});

test("line ends of any kind and several data lines make one message", () => {
  expect(splitEvents("event: x\r\ndata: one\r\ndata: two\r\n\r\n").messages).toEqual(["one\ntwo"]);
});
