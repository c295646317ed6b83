/** For what has no event that a test could await. */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

/**
 * Looks again and again until there is something: what was found, which is neither false nor undefined.
 *
 * @param what for the error of who waited in vain
 */
export async function eventually<T>(
  look: () => Promise<T | false | undefined>,
  what: string,
  seconds = 45,
): Promise<T> {
  const deadline = Date.now() + seconds * 1_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}
