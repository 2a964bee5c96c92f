/** The API's own description of itself, as a list. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

interface Schema {
  $ref?: string | undefined;
  type?: string | readonly string[] | undefined;
  description?: string | undefined;
  default?: unknown;
  const?: unknown;
  enum?: readonly unknown[] | undefined;
  items?: Schema | undefined;
  anyOf?: readonly Schema[] | undefined;
  oneOf?: readonly Schema[] | undefined;
  properties?: Readonly<Record<string, Schema>> | undefined;
  required?: readonly string[] | undefined;
}

const SchemaObject = z.custom<Schema>((value) => typeof value === "object" && value !== null);
const Content = z.record(z.string(), z.object({ schema: SchemaObject.optional() }));
const Operation = z.object({
  summary: z.string().optional(),
  description: z.string().optional(),
  tags: z.array(z.string()).optional(),
  "x-scope": z.enum(["read", "write"]).optional(),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.string().optional(),
        required: z.boolean().optional(),
        description: z.string().optional(),
        schema: SchemaObject.optional(),
      }),
    )
    .optional(),
  requestBody: z.object({ content: Content }).optional(),
  responses: z.record(z.string(), z.object({ content: Content.optional() })).optional(),
});
type OperationObject = z.infer<typeof Operation>;
const Description = z.object({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ schemas: z.record(z.string(), SchemaObject).optional() }).optional(),
});
type Schemas = Readonly<Record<string, Schema>>;

/** One thing that is sent or answered. */
export interface EndpointField {
  name: string;
  type: string;
  isRequired: boolean;
  words: string;
}

export interface Endpoint {
  method: string;
  path: string;
  words: string;
  group: string;
  /** What a token must be allowed to. */
  scope: "read" | "write" | null;
  parameters: readonly EndpointField[];
  sent: readonly EndpointField[];
  answered: readonly EndpointField[];
  /** Where parameters stand: in the path, or behind the question mark where they must be told. */
  needed: readonly string[];
  /** A body that has what must be there and nothing else; null where none is sent as JSON. */
  body: unknown;
  /** The type of the file that is sent; null where none is. */
  sendsFile: string | null;
  /** Whether the answer is text, and no file. */
  isText: boolean;
  /** Whether it can be asked as it stands: it only reads, and its path has no blanks. */
  canBeTried: boolean;
}

/** The operations of an OpenAPI document in its own order; throws on what is no such document. */
export function listEndpoints(document: unknown): readonly Endpoint[] {
  const { paths, components } = Description.parse(document);
  const schemas = components?.schemas ?? {};
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      words: operation.description?.split("\n")[0] ?? operation.summary ?? "",
      group: operation.tags?.[0] ?? "other",
      scope: operation["x-scope"] ?? null,
      ...fieldsOfOperation(operation, schemas),
      canBeTried: method === "get" && !path.includes("{"),
    })),
  );
}

function fieldsOfOperation(operation: OperationObject, schemas: Schemas) {
  const good = Object.entries(operation.responses ?? {}).find(([status]) => status < "300")?.[1];
  return {
    parameters: (operation.parameters ?? []).map(({ name, required, description, schema }) => ({
      name,
      type: typeOf(schema ?? {}),
      isRequired: required === true,
      words: description ?? schema?.description ?? "",
    })),
    needed: (operation.parameters ?? []).flatMap((parameter) =>
      parameter.in === "query" && parameter.required ? parameter.name : [],
    ),
    body: bodyOf(operation.requestBody?.content, schemas),
    sendsFile: fileTypeOf(operation.requestBody?.content),
    isText: Object.keys(good?.content ?? {}).every((type) => /json|event-stream|text/.test(type)),
    sent: fieldsOf(schemaIn(operation.requestBody?.content), schemas),
    answered: fieldsOf(schemaIn(good?.content), schemas),
  };
}

function schemaIn(content: z.infer<typeof Content> | undefined): Schema {
  return Object.values(content ?? {}).find(({ schema }) => schema)?.schema ?? {};
}

/** The fields of a schema's object, or of the objects that a list of it holds. */
function fieldsOf(schema: Schema, schemas: Schemas): EndpointField[] {
  const own = schema.items ?? schema;
  const named = own.$ref ? (schemas[nameOf(own.$ref)] ?? {}) : own;
  return Object.entries(named.properties ?? {}).map(([name, field]) => ({
    name,
    type: typeOf(field),
    isRequired: named.required?.includes(name) ?? false,
    words: field.description ?? "",
  }));
}

function fileTypeOf(content: z.infer<typeof Content> | undefined): string | null {
  const types = Object.keys(content ?? {});
  return types.includes("application/json") ? null : (types.at(-1) ?? null);
}

function bodyOf(content: z.infer<typeof Content> | undefined, schemas: Schemas): unknown {
  const schema = content?.["application/json"]?.schema;
  return schema ? exampleOf(schema, schemas, "BODY") : null;
}

/** A value that has a schema's form: defaults and first choices, and names in capitals to fill in. */
function exampleOf(schema: Schema, schemas: Schemas, name: string): unknown {
  const own = schema.$ref ? (schemas[nameOf(schema.$ref)] ?? {}) : schema;
  if (own.const !== undefined || own.default !== undefined) {
    return own.const ?? own.default;
  }
  const choice = own.enum?.[0];
  if (choice !== undefined) {
    return choice;
  }
  const [first] = own.anyOf ?? own.oneOf ?? [];
  if (first) {
    return exampleOf(first, schemas, name);
  }
  const required = own.required ?? [];
  switch (own.type) {
    case "object":
      return Object.fromEntries(
        required.map((key) => [key, exampleOf(own.properties?.[key] ?? {}, schemas, key)]),
      );
    case "array":
      return own.items ? [exampleOf(own.items, schemas, name)] : [];
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return true;
    default:
      return name.toUpperCase();
  }
}

/** A schema's type in one word or a few: `string`, `list of RunSummary`, `number or null`. */
function typeOf(schema: Schema): string {
  if (schema.$ref) {
    return nameOf(schema.$ref);
  }
  if (schema.const !== undefined) {
    return JSON.stringify(schema.const);
  }
  if (schema.enum) {
    return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    return [...new Set(choices.map(typeOf))].join(" or ");
  }
  if (schema.items) {
    return `list of ${typeOf(schema.items)}`;
  }
  return typeof schema.type === "string" ? schema.type : (schema.type?.join(" or ") ?? "anything");
}

function nameOf(reference: string): string {
  return reference.split("/").at(-1) ?? reference;
}

export function endpoints() {
  return queryOptions({
    queryKey: ["endpoints"],
    queryFn: async ({ signal }) => listEndpoints(await ask("/api/openapi.json", signal)),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** What an address answers, as JSON; throws an Error with the answer's words. */
export async function ask(path: string, signal?: AbortSignal): Promise<unknown> {
  const answer = await fetch(path, signal ? { signal } : {});
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  return answer.json();
}
