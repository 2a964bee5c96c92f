/** The last lines a process said, bounded, whole lines only. */
export class LogRing {
  readonly #lines: string[] = [];
  readonly #limit: number;
  #rest = "";

  constructor(limit = 500) {
    this.#limit = limit;
  }

  /** Takes a piece of output as it comes; a line may be torn over several. */
  write(piece: string): void {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-10_000);
    this.#lines.push(...lines);
    this.#lines.splice(0, this.#lines.length - this.#limit);
  }

  get lines(): readonly string[] {
    return this.#rest === "" ? this.#lines : [...this.#lines, this.#rest];
  }
}
