/**
 * Messages and bytes by pair of source and destination, bounded: open addressing over plain memory,
 * which may be shared with another thread that only reads.
 * What finds no place within PROBES is counted in the last place, for all such pairs together.
 */
const PROBES = 16;

export interface PairCount {
  /** Relay ids; both 0 for the pairs that found no place of their own. */
  readonly source: number;
  readonly destination: number;
  readonly packets: number;
  readonly bytes: number;
}

export class PairCounters {
  readonly #mask: number;
  /** Source and destination; 0 = free. */
  readonly #keys: Int32Array;
  /** Messages and bytes. */
  readonly #counts: Float64Array;

  /** Bytes of memory for so many places. */
  static bytesFor(places: number): number {
    return places * 2 * 4 + (places + 1) * 2 * 8;
  }

  /** @param places a power of two */
  constructor(
    places: number,
    buffer: ArrayBufferLike = new ArrayBuffer(PairCounters.bytesFor(places)),
  ) {
    if (places < PROBES || (places & (places - 1)) !== 0)
      throw new RangeError('not a power of two');
    this.#mask = places - 1;
    this.#keys = new Int32Array(buffer, 0, places * 2);
    this.#counts = new Float64Array(buffer, places * 8, (places + 1) * 2);
  }

  add(source: number, destination: number, packets: number, bytes: number): void {
    const at = this.#place(source, destination) * 2;
    this.#counts[at] = this.#counts[at]! + packets;
    this.#counts[at + 1] = this.#counts[at + 1]! + bytes;
  }

  /** Every pair that was counted. */
  entries(): PairCount[] {
    const found: PairCount[] = [];
    for (let at = 0; at < this.#counts.length; at += 2) {
      const packets = this.#counts[at]!;
      if (packets === 0) continue;
      found.push({
        source: this.#keys[at] ?? 0,
        destination: this.#keys[at + 1] ?? 0,
        packets,
        bytes: this.#counts[at + 1]!,
      });
    }
    return found;
  }

  /** Forgets every pair with a relay id that is not known any more. */
  keep(isKnown: (relayId: number) => boolean): void {
    const kept = this.entries();
    this.#keys.fill(0);
    this.#counts.fill(0);
    for (const { source, destination, packets, bytes } of kept) {
      if (source === 0) {
        this.#counts[this.#counts.length - 2] = packets;
        this.#counts[this.#counts.length - 1] = bytes;
      } else if (isKnown(source) && isKnown(destination)) {
        this.add(source, destination, packets, bytes);
      }
    }
  }

  #place(source: number, destination: number): number {
    const h = Math.imul(Math.imul(source, 0x9e3779b1) ^ destination, 0x85ebca6b);
    let at = (h ^ (h >>> 15)) & this.#mask;
    for (let i = 0; i < PROBES; i++) {
      const key = this.#keys[at * 2]!;
      if (key === source && this.#keys[at * 2 + 1] === destination) return at;
      if (key === 0) {
        this.#keys[at * 2] = source;
        this.#keys[at * 2 + 1] = destination;
        return at;
      }
      at = (at + 1) & this.#mask;
    }
    return this.#mask + 1;
  }
}
