import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { queryClient } from "@/api/query-client";
import { openWorkspace, useWorkspace } from "@/api/workspace";

class FakeSocket {
  static latest: FakeSocket | undefined;
  onmessage: ((event: { data: string }) => void) | undefined;
  onclose: ((event: { code: number }) => void) | undefined;
  constructor() {
    FakeSocket.latest = this;
  }
  close() {
    this.onclose?.({ code: 1005 });
  }
}

function hear(message: object) {
  FakeSocket.latest?.onmessage?.({ data: JSON.stringify(message) });
}

function hearQueue(runId: string | null) {
  const active = runId === null ? null : { run_id: runId, verb: "train" };
  hear({ kind: "queue", queue: { active, queue: [], blocked: null, waits_for_memory: false } });
}

function isPlaygroundStale() {
  return queryClient.getQueryState(["playground"])?.isInvalidated;
}

let stop: () => void;
beforeEach(() => {
  vi.stubGlobal("WebSocket", FakeSocket);
  stop = openWorkspace();
});
afterEach(() => {
  stop();
  queryClient.clear();
  vi.unstubAllGlobals();
});

test("the playground is asked again when a run takes the GPU and when it gives it back", () => {
  hearQueue(null);
  for (const runId of ["distill_1", null]) {
    queryClient.setQueryData(["playground"], { state: "as before" });
    expect(isPlaygroundStale()).toBe(false);
    hearQueue(runId);
    expect(isPlaygroundStale()).toBe(true);
    expect(useWorkspace.getState().queue?.active?.run_id ?? null).toBe(runId);
  }
});

test("a queue that only grows leaves the playground's state alone", () => {
  hearQueue("distill_1");
  queryClient.setQueryData(["playground"], { state: "blocked" });
  hearQueue("distill_1");
  expect(isPlaygroundStale()).toBe(false);
});
