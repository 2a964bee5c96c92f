import { expect, test } from "vitest";
import { listEndpoints } from "@/api/endpoints";

const answer = { $ref: "#/components/schemas/Run" };
const DOCUMENT = {
  openapi: "3.1.0",
  paths: {
    "/api/runs": {
      get: {
        summary: "List Runs",
        description: "Return runs.\n\nMore.",
        tags: ["runs"],
        "x-scope": "read",
        parameters: [
          { name: "limit", in: "query", schema: { type: "integer", description: "At most." } },
        ],
        responses: {
          200: { content: { "application/json": { schema: { type: "array", items: answer } } } },
          401: { content: { "application/problem+json": { schema: answer } } },
        },
      },
      post: {
        summary: "Create Run",
        tags: ["runs"],
        "x-scope": "write",
        requestBody: { content: { "application/json": { schema: answer } } },
      },
    },
    "/api/runs/{run_id}": { get: { summary: "Read Run" } },
  },
  components: {
    schemas: {
      Run: {
        type: "object",
        required: ["id"],
        properties: {
          id: { type: "string", description: "Its folder." },
          step: { anyOf: [{ type: "integer" }, { type: "null" }] },
          tags: { type: "array", items: { type: "string" } },
          state: { enum: ["paused", "running"] },
        },
      },
    },
  },
};

test("every operation is listed with its first sentence, its scope and whether it can be tried", () => {
  const listed = listEndpoints(DOCUMENT);
  expect(listed.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /api/runs",
    "POST /api/runs",
    "GET /api/runs/{run_id}",
  ]);
  expect(listed.map(({ words }) => words)).toEqual(["Return runs.", "Create Run", "Read Run"]);
  expect(listed.map(({ group }) => group)).toEqual(["runs", "runs", "other"]);
  expect(listed.map(({ scope }) => scope)).toEqual(["read", "write", null]);
  expect(listed.map(({ canBeTried }) => canBeTried)).toEqual([true, false, false]);
});

test("what is sent and answered is told field by field, in words", () => {
  const [list, create] = listEndpoints(DOCUMENT);
  expect(list?.parameters).toEqual([
    { name: "limit", type: "integer", isRequired: false, words: "At most." },
  ]);
  expect(list?.answered).toEqual(create?.sent);
  expect(create?.sent.map(({ name, type, isRequired }) => [name, type, isRequired])).toEqual([
    ["id", "string", true],
    ["step", "integer or null", false],
    ["tags", "list of string", false],
    ["state", '"paused" or "running"', false],
  ]);
});

test("a body has what must be sent, with its defaults, and names in capitals to fill in", () => {
  const schema = {
    type: "object",
    required: ["name", "kind", "most", "lines", "inner"],
    properties: {
      name: { type: "string" },
      note: { type: "string" },
      kind: { enum: ["jsonl", "csv"] },
      most: { type: "integer", default: 5 },
      lines: { type: "array", items: { anyOf: [{ type: "integer" }, { type: "null" }] } },
      inner: { $ref: "#/components/schemas/Inner" },
    },
  };
  const inner = { type: "object", required: ["path"], properties: { path: { type: "string" } } };
  const content = { "application/json": { schema } };
  const file = { 200: { content: { "application/zip": {} } } };
  const needed = [{ name: "words", in: "query", required: true }];
  const [sent, read] = listEndpoints({
    paths: {
      "/api/sets": {
        post: { requestBody: { content } },
        get: { parameters: needed, responses: file },
      },
    },
    components: { schemas: { Inner: inner } },
  });
  expect(sent?.body).toEqual({
    name: "NAME",
    kind: "jsonl",
    most: 5,
    lines: [1],
    inner: { path: "PATH" },
  });
  expect(read).toMatchObject({ body: null, needed: ["words"], isText: false });
});

test("what is no description of an API is refused", () => {
  expect(() => listEndpoints({ detail: "no" })).toThrow();
});
