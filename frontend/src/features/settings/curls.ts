/** A command for every route of the API, with what is known of this workspace filled in. */
import type { Endpoint } from "@/api/endpoints";
import type { ApiTokens } from "@/api/tokens";
import { quoted } from "@/features/settings/examples";

/**
 * What stands in a command for its blanks, by name, or by path and name where one path means
 * something else by it; null where there is nothing of the kind here.
 */
export type Known = Readonly<Record<string, string | readonly string[] | null>>;

export interface Curl {
  command: string;
  /** What has to be filled in by hand, as it stands in the command; empty where it works as pasted. */
  blanks: readonly string[];
}

interface From {
  origin: string;
  tokens: ApiTokens;
  known: Known;
}

/** Bodies that need more than their form to be understood. */
function bodyOf(endpoint: Endpoint, known: Known): unknown {
  const { model, run_id: runId } = { model: known["model"] ?? "latest", run_id: known["run_id"] };
  const prompts = known["prompts"] ?? "PROMPTS";
  const pair = { teacher_model: "tiny-teacher", student_model: "tiny-student", prompts };
  const config = { method: "on_policy", distillation: { ...pair, num_steps: 10 } };
  const messages = [{ role: "user", content: "the third of March 1998, noon" }];
  switch (`${endpoint.method} ${endpoint.path}`) {
    case "POST /v1/chat/completions":
      return { model, messages, max_tokens: 32 };
    case "POST /v1/completions":
      return { model, prompt: "1998-03-", max_tokens: 8 };
    case "POST /api/runs":
      return { config, start: false };
    case "POST /api/plan":
    case "POST /api/check":
    case "POST /api/configs/check":
    case "POST /api/models/map":
      return { config };
    case "POST /api/models/choices":
      return { config, key: "student_model" };
    case "POST /api/configs/parse":
      return { yaml: JSON.stringify(config) };
    case "POST /api/playground/ask":
      return { messages, run_id: runId ?? "RUN_ID" };
    case "POST /api/playground/kept":
      return { messages, answer: "1998-03-03 12:00", name: "Kept from a shell" };
    case "POST /api/pair":
      return { student: pair.student_model, teacher: pair.teacher_model };
    default:
      // What is put replaces what the user has set: nothing of it is proposed.
      return endpoint.method === "PUT"
        ? Object.fromEntries(endpoint.sent.map(({ name }) => [name, name.toUpperCase()]))
        : endpoint.body;
  }
}

/** What only reads takes what is known; what changes something leaves its name to the user. */
export function curlOf(endpoint: Endpoint, from: From): Curl {
  const { method, path, scope, needed, isText, sendsFile } = endpoint;
  const knownAs = (name: string): readonly string[] | null => {
    const value = from.known[`${path} ${name}`];
    const found = value === undefined ? (from.known[name] ?? null) : value;
    return method !== "GET" || found === null ? null : [found].flat();
  };
  const fill = (name: string) => knownAs(name) ?? [name.toUpperCase()];
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name = ""]) => name);
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(fill(name).join()),
  );
  const query = needed.flatMap((name) =>
    fill(name).map((value) => `${name}=${encodeURIComponent(value)}`),
  );
  const body = bodyOf(endpoint, from.known);
  const isPlain = method === "GET" || (method === "POST" && (body !== null || sendsFile));
  const address = `${from.origin}${filled}${query.length > 0 ? `?${query.join("&")}` : ""}`;
  const token = from.tokens[scope === "write" ? "write" : "read"];
  const command = [
    isPlain ? "curl -s" : `curl -s -X ${method}`,
    quoted(address),
    `-H ${quoted(`Authorization: Bearer ${token}`)}`,
    ...sentOf(endpoint, body),
    ...(isText ? [] : [`-o ${quoted(fileOf(path))}`]),
  ].join(" ");
  const unfilled = [...needed, ...inPath].filter((name) => knownAs(name) === null);
  const inBody = JSON.stringify(body ?? null).match(/(?<=")[A-Z][A-Z_]{2,}(?=")/g) ?? [];
  const blanks = [
    ...unfilled.map((name) => name.toUpperCase()),
    ...inBody,
    ...(sendsFile ? ["FILE"] : []),
  ];
  return { command, blanks: [...new Set(blanks)] };
}

/** What goes along: nothing with a read, else JSON or a file of the user's. */
function sentOf({ method, sendsFile }: Endpoint, body: unknown): string[] {
  if (method === "GET") {
    return [];
  }
  const type = `-H ${quoted(`Content-Type: ${sendsFile ?? "application/json"}`)}`;
  if (sendsFile) {
    return [type, "--data-binary @FILE"];
  }
  return body === null ? [type] : [type, `-d ${quoted(JSON.stringify(body))}`];
}

/** What a file is called that an answer is. */
function fileOf(path: string): string {
  const name = path.split("/").at(-1) ?? "";
  return name.startsWith("{") || name === ""
    ? "answer"
    : name.replace(/^bundle$|^adapter$/, "$&.zip");
}
