import { readFileSync } from "node:fs";

const ENTRY = 0x02014b50;
const NAME_AT = 46;

/** The names of a zip's members, from its central directory. */
export function namesInZip(file: string): string[] {
  const bytes = readFileSync(file);
  const signature = Buffer.alloc(4);
  signature.writeUInt32LE(ENTRY);
  const names: string[] = [];
  for (let at = bytes.indexOf(signature); at >= 0; at = bytes.indexOf(signature, at + 1)) {
    const length = bytes.readUInt16LE(at + 28);
    names.push(bytes.toString("utf8", at + NAME_AT, at + NAME_AT + length));
  }
  return names;
}
