import { expect, test } from "vitest";
import type { Endpoint } from "@/api/endpoints";
import { groupsOf } from "@/features/settings/endpoint-groups";

function endpoint(method: string, path: string, group: string): Endpoint {
  const told = { words: "Tells all.", parameters: [], sent: [], answered: [] };
  return {
    method,
    path,
    group,
    scope: "read",
    ...told,
    needed: [],
    body: null,
    sendsFile: null,
    isText: true,
    canBeTried: false,
  };
}

test("routes are grouped in the order of the API, and every word of a search counts", () => {
  const all = [
    endpoint("GET", "/v1/models", "models"),
    endpoint("GET", "/api/runs", "runs"),
    endpoint("POST", "/api/runs", "runs"),
    endpoint("GET", "/api/models", "models"),
  ];
  expect(groupsOf(all, "").map(({ name, endpoints }) => [name, endpoints.length])).toEqual([
    ["models", 2],
    ["runs", 2],
  ]);
  const [runs, ...others] = groupsOf(all, " post  RUNS ");
  expect(runs?.endpoints.map(({ method }) => method)).toEqual(["POST"]);
  expect(others).toEqual([]);
});
