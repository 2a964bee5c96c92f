/** A machine busy with training takes half a minute to start a backend. */
export const START_WITHIN_MS = 90_000;

type Maybe<T> = T | undefined | false | null;

/** Waits for a condition, with a bound. */
export async function until<T>(what: string, look: () => Maybe<T> | Promise<Maybe<T>>): Promise<T> {
  const deadline = Date.now() + START_WITHIN_MS;
  for (;;) {
    const found = await look();
    if (found) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`Waited in vain for ${what}.`);
    }
    await new Promise((next) => setTimeout(next, 20));
  }
}
