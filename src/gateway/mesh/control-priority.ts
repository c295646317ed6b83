/**
 * Control work yields to packets. On Linux each thread has a nice value of its own: the main thread's is
 * raised when the data plane's thread exists, which keeps what it has. Tools that the main thread starts
 * later inherit its value.
 */
import { getPriority, setPriority } from 'node:os';
import type { Log } from '../log.ts';

/** A third of the weight beside a thread without. */
const NICER_BY = 5;
const NICEST = 19;

/** To be called in the main thread, once, when the data plane is open. */
export function yieldToPackets(log: Log): void {
  try {
    // 0 is the calling thread.
    setPriority(0, Math.min(NICEST, getPriority(0) + NICER_BY));
  } catch (error) {
    log.debug({ err: error }, 'control work has the priority of packets');
  }
}
