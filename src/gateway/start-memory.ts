/**
 * Gives back the memory that only a start needs: a third of what the daemon then holds. What loading
 * compiled and threw away stays in the engine's heaps and in malloc's arenas until something asks for
 * it, and an idle daemon never does (docs/performance.md).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadAddon } from '../native/addon.ts';

/** Milliseconds until the compiler's threads are through with what the start made hot. */
const COMPILED_AFTER = 1_000;
/**
 * Where the processors have much else to do, they and the collector's threads free what they had much
 * later: malloc is asked again after twice the time, so often.
 */
const ASKED_AGAIN = 6;

/**
 * Collects the calling thread's heap and unmaps what is free in it; drops what its functions were compiled
 * to as well, most of which ran once. Those that run again are compiled again, from the source that the
 * engine keeps. Takes about 30 ms.
 */
export function collectGarbage(): void {
  // The function is only in contexts that are made while the flag is set.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  setFlagsFromString('--no-expose-gc');
  setFlagsFromString('--stress-flush-code');
  try {
    collect({ type: 'major', flavor: 'last-resort' });
  } finally {
    setFlagsFromString('--no-stress-flush-code');
  }
}

/** To be called in the main thread when the daemon is ready. The data plane's thread is not held up. */
export function returnStartMemory(): void {
  setTimeout(() => {
    collectGarbage();
    loadAddon().trimMemory();
  }, COMPILED_AFTER).unref();
  for (let again = 1; again <= ASKED_AGAIN; again++) {
    setTimeout(() => loadAddon().trimMemory(), COMPILED_AFTER << again).unref();
  }
}
