/**
 * The latest netmap, from before the data plane or the kernel has any of it. What tells whose a packet
 * is must not be behind the packets.
 */
import type { Netmap } from '../../control/netmap.ts';
import type { Wanted } from './netmap-translation.ts';

/** A netmap by which packets pass, or may pass any moment: it is being installed. */
export interface ArrivedNetmap {
  readonly netmap: Netmap;
  readonly wanted: Wanted;
  /** Unix time in ms. */
  readonly at: number;
}

export class ArrivedNetmaps {
  /** The same object until there is another; undefined = there is none, or none any more. */
  latest: ArrivedNetmap | undefined;
  /** Called when that is another. */
  onArrived: () => void = () => {};

  note(netmap: Netmap, wanted: Wanted): void {
    this.latest = { netmap, wanted, at: Date.now() };
    this.onArrived();
  }

  clear(): void {
    this.latest = undefined;
    this.onArrived();
  }
}
