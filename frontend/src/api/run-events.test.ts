import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { followRun, reconnectDelay } from "@/api/run-events";

class FakeSocket {
  static opened: FakeSocket[] = [];
  onmessage: ((event: { data: string }) => void) | undefined;
  onclose: ((event: { code: number }) => void) | undefined;
  readonly url: string;
  constructor(url: string) {
    this.url = url;
    FakeSocket.opened.push(this);
  }
  close() {
    this.onclose?.({ code: 1005 });
  }
  say(message: object) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function latest(): FakeSocket {
  const socket = FakeSocket.opened.at(-1);
  if (!socket) {
    throw new Error("no socket was opened");
  }
  return socket;
}

function follower() {
  return { onMessage: vi.fn(), onState: vi.fn(), onReset: vi.fn() };
}

beforeEach(() => {
  FakeSocket.opened = [];
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("the first connection asks for a snapshot, the next one goes on behind the last seq", () => {
  const stop = followRun("distill_1", follower());
  expect(latest().url).toBe("/api/runs/distill_1/stream");
  latest().say({ kind: "snapshot", seq: 4, recent: [] });
  latest().say({ kind: "events", first: 5, last: 9, events: [] });
  latest().onclose?.({ code: 1006 });
  vi.advanceTimersByTime(300);
  expect(latest().url).toBe("/api/runs/distill_1/stream?after=9");
  stop();
});

test("the reader hears that the connection broke and that it is back", () => {
  const heard = follower();
  const stop = followRun("distill_1", heard);
  latest().say({ kind: "snapshot", seq: -1, recent: [] });
  latest().onclose?.({ code: 1012 });
  vi.advanceTimersByTime(300);
  latest().say({ kind: "snapshot", seq: -1, recent: [] });
  expect(heard.onState.mock.calls.flat()).toEqual(["connecting", "live", "reconnecting", "live"]);
  stop();
});

test("a replaced run starts afresh with a snapshot", () => {
  const heard = follower();
  const stop = followRun("distill_1", heard);
  latest().say({ kind: "snapshot", seq: 7, recent: [] });
  latest().onclose?.({ code: 4410 });
  vi.advanceTimersByTime(300);
  expect(heard.onReset).toHaveBeenCalledOnce();
  expect(latest().url).toBe("/api/runs/distill_1/stream");
  stop();
});

test("a run that does not exist is not asked for again", () => {
  const heard = follower();
  followRun("distill_1", heard);
  latest().onclose?.({ code: 4404 });
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.opened).toHaveLength(1);
  expect(heard.onState).toHaveBeenLastCalledWith("gone");
});

test("a connection that falls silent is closed and opened again", () => {
  const stop = followRun("distill_1", follower());
  latest().say({ kind: "snapshot", seq: 0, recent: [] });
  vi.advanceTimersByTime(41_000);
  expect(FakeSocket.opened).toHaveLength(2);
  stop();
});

test("after stop nothing is opened any more", () => {
  const stop = followRun("distill_1", follower());
  stop();
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.opened).toHaveLength(1);
});

test("waiting doubles up to eight seconds", () => {
  expect([0, 1, 2, 10].map(reconnectDelay)).toEqual([250, 500, 1000, 8000]);
});
