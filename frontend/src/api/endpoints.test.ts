import { expect, test } from "vitest";
import { listEndpoints } from "@/api/endpoints";

const DOCUMENT = {
  openapi: "3.1.0",
  paths: {
    "/api/runs": {
      get: { summary: "List Runs", description: "Return runs.\n\nMore.", tags: ["runs"] },
      post: { summary: "Create Run", tags: ["runs"] },
    },
    "/api/runs/{run_id}": { get: { summary: "Read Run" } },
  },
};

test("every operation is listed with its first sentence", () => {
  expect(listEndpoints(DOCUMENT)).toEqual([
    { method: "GET", path: "/api/runs", words: "Return runs.", group: "runs", canBeTried: true },
    { method: "POST", path: "/api/runs", words: "Create Run", group: "runs", canBeTried: false },
    {
      method: "GET",
      path: "/api/runs/{run_id}",
      words: "Read Run",
      group: "other",
      canBeTried: false,
    },
  ]);
});

test("what is no description of an API is refused", () => {
  expect(() => listEndpoints({ detail: "no" })).toThrow();
});
