import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Remembers the folder of the last pick over restarts, in one small file. */
export class RememberedFolder {
  readonly #file: string;

  constructor(userData: string) {
    this.#file = join(userData, "picker.json");
  }

  /** The last folder, or null when there is none or the file is damaged. */
  get folder(): string | null {
    try {
      const { folder } = JSON.parse(readFileSync(this.#file, "utf8")) as Record<string, unknown>;
      return typeof folder === "string" ? folder : null;
    } catch {
      return null;
    }
  }

  remember(folder: string): void {
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(this.#file, JSON.stringify({ folder }));
  }
}
