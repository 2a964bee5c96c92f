import { isAbsolute } from "node:path";
import type { Notice, PickRequest } from "./bridge.js";
import { mayNavigate } from "./window-policy.js";

const MAX_TEXT = 500;
const MAX_PATH = 4096;

/** A call with something else than its contract allows. */
export class PayloadError extends Error {}

export function readPickRequest(payload: unknown): PickRequest {
  const keys = ["title", "extensions"];
  const { title, extensions, folder } = record(
    payload,
    hasFolder(payload) ? [...keys, "folder"] : keys,
  );
  if (!Array.isArray(extensions) || extensions.length > 20) {
    throw new PayloadError("extensions must be a list of at most 20.");
  }
  const endings = extensions.map((ending) => text(ending, "extension", 20));
  if (!endings.every((ending) => /^[a-z0-9]+$/i.test(ending))) {
    throw new PayloadError("An extension has letters and digits only.");
  }
  const asked = { title: text(title, "title", MAX_TEXT), extensions: endings };
  return folder === undefined ? asked : { ...asked, folder: readPath(folder) };
}

function hasFolder(payload: unknown): boolean {
  return typeof payload === "object" && payload !== null && "folder" in payload;
}

export function readNotice(payload: unknown): Notice {
  const { title, body } = record(payload, ["title", "body"]);
  return { title: text(title, "title", MAX_TEXT), body: text(body, "body", MAX_TEXT) };
}

export function readPath(payload: unknown): string {
  const path = text(payload, "path", MAX_PATH);
  if (!isAbsolute(path) || path.includes("\0")) {
    throw new PayloadError("The path must be absolute.");
  }
  return path;
}

/** The frame that a call comes from. */
export interface Sender {
  readonly url: string;
  readonly isTop: boolean;
}

/** The page's calls are taken from the top frame of the backend's page only. */
export function isFromPage({ url, isTop }: Sender, backend: string | null): boolean {
  return backend !== null && isTop && mayNavigate(url, backend);
}

/** The diagnostics page's calls are taken from that very file only. */
export function isFromDiagnostics({ url, isTop }: Sender, page: string): boolean {
  return isTop && url === page;
}

function record(payload: unknown, keys: readonly string[]): Record<string, unknown> {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) {
    throw new PayloadError("An object was expected.");
  }
  const found = Object.keys(payload);
  if (found.length !== keys.length || !keys.every((key) => found.includes(key))) {
    throw new PayloadError(`Exactly these keys were expected: ${keys.join(", ")}.`);
  }
  return payload as Record<string, unknown>;
}

function text(value: unknown, name: string, limit: number): string {
  if (typeof value !== "string" || value.length === 0 || value.length > limit) {
    throw new PayloadError(`${name} must be a text of 1 to ${limit} characters.`);
  }
  return value;
}
