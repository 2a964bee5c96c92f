import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Memory {
  /** Of the last file or folder that was picked. */
  readonly folder: string | null;
  /** Of the last backend: the page keeps its settings by origin, and the port is part of that. */
  readonly port: number;
}

/** What the shell remembers over restarts, in one small file. */
export class Remembered {
  readonly #userData: string;
  readonly #file: string;

  constructor(userData: string) {
    this.#userData = userData;
    this.#file = join(userData, "shell.json");
  }

  /** Nothing and 0 when there is no file or it is damaged. */
  read(): Memory {
    try {
      const { folder, port } = JSON.parse(readFileSync(this.#file, "utf8")) as Record<
        string,
        unknown
      >;
      return {
        folder: typeof folder === "string" ? folder : null,
        port: typeof port === "number" && port > 1023 && port < 65_536 ? port : 0,
      };
    } catch {
      return { folder: null, port: 0 };
    }
  }

  remember(change: Partial<Memory>): void {
    mkdirSync(this.#userData, { recursive: true });
    writeFileSync(this.#file, JSON.stringify({ ...this.read(), ...change }));
  }
}
