/** A command for every route of the API, with what is known of this workspace filled in. */
import type { Endpoint } from "@/api/endpoints";
import type { ApiTokens } from "@/api/tokens";
import { quoted } from "@/features/settings/examples";

/** What stands in a command for the blanks of a path, by the blank's name. */
export type Known = Readonly<Record<string, string>>;

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
function bodyOf(endpoint: Endpoint, { model = "latest", prompts = "PROMPTS" }: Known): unknown {
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
      return { config };
    case "POST /api/configs/check":
      return config;
    case "POST /api/configs/parse":
      return { text: JSON.stringify(config) };
    case "POST /api/pair":
      return { student: pair.student_model, teacher: pair.teacher_model };
    default:
      return endpoint.body;
  }
}

/** What only reads takes what is known; what changes something leaves its name to the user. */
export function curlOf(endpoint: Endpoint, from: From): Curl {
  const { method, path, scope, needed, isText } = endpoint;
  const known = method === "GET" ? from.known : {};
  const fill = (name: string) => known[name] ?? name.toUpperCase();
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(fill(name)));
  const query = needed.map((name) => `${name}=${encodeURIComponent(fill(name))}`).join("&");
  const body = bodyOf(endpoint, from.known);
  const parts = [
    method === "GET" || (method === "POST" && body !== null) ? "curl -s" : `curl -s -X ${method}`,
    quoted(`${from.origin}${filled}${query ? `?${query}` : ""}`),
    `-H ${quoted(`Authorization: Bearer ${from.tokens[scope === "write" ? "write" : "read"]}`)}`,
    ...(method === "GET" ? [] : [`-H ${quoted("Content-Type: application/json")}`]),
    ...(body === null ? [] : [`-d ${quoted(JSON.stringify(body))}`]),
    ...(isText ? [] : [`-o ${quoted(fileOf(path))}`]),
  ];
  const command = parts.join(" ");
  const names = [...needed, ...[...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name = ""]) => name)];
  const inBody = JSON.stringify(body ?? null).match(/(?<=")[A-Z][A-Z_]{2,}(?=")/g) ?? [];
  const unfilled = names.filter((name) => known[name] === undefined);
  return {
    command,
    blanks: [...new Set([...unfilled.map((name) => name.toUpperCase()), ...inBody])],
  };
}

/** What a file is called that an answer is. */
function fileOf(path: string): string {
  const name = path.split("/").at(-1) ?? "";
  return name.startsWith("{") || name === ""
    ? "answer"
    : name.replace(/^bundle$|^adapter$/, "$&.zip");
}
