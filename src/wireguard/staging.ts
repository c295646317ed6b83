/**
 * Packets that wait for a session (whitepaper § 6.5, "queued"): per peer at most 128, the oldest
 * dropped; copies, back to back in one buffer that exists only while something waits. All queues of a
 * device share a budget of bytes, so that many silent peers cannot take the memory.
 */

export const STAGED_PACKETS = 128;

const FIRST_CAPACITY = 4_096;
/** Bytes one peer may hold: the largest packet there is, several times. */
const MAX_CAPACITY = 512 * 1_024;

/** Bytes that all staging queues of a device may hold together. */
export const STAGING_BUDGET = 32 * 1_024 * 1_024;

export class StagingBudget {
  #left: number;

  constructor(bytes = STAGING_BUDGET) {
    this.#left = bytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

const NOTHING = new Uint8Array(0);

export class StagingQueue {
  readonly #budget: StagingBudget;
  #bytes: Uint8Array = NOTHING;
  /** Lengths of the packets, a ring. */
  readonly #lengths = new Int32Array(STAGED_PACKETS);
  #first = 0;
  #count = 0;
  /** The packets lie in bytes[head..tail], oldest first. */
  #head = 0;
  #tail = 0;
  /** Packets of at least one byte: keepalives are no loss. */
  #data = 0;

  constructor(budget: StagingBudget) {
    this.#budget = budget;
  }

  get length(): number {
    return this.#count;
  }

  /**
   * Copies a packet in; length 0 is a keepalive. Returns how many packets with content were lost to
   * make room, this one included if it does not fit at all.
   */
  push(source: Uint8Array, offset: number, length: number): number {
    let lost = 0;
    while (this.#count === STAGED_PACKETS || !this.#makeRoom(length)) {
      if (this.#count === 0) return lost + 1;
      if (this.#lengths[this.#first]! > 0) lost++;
      this.shift();
    }
    const at = this.#tail;
    this.#bytes.set(source.subarray(offset, offset + length), at);
    this.#lengths[(this.#first + this.#count) % STAGED_PACKETS] = length;
    this.#count++;
    this.#tail += length;
    if (length > 0) this.#data++;
    return lost;
  }

  /** Bytes of the oldest packet; the queue must not be empty. */
  firstLength(): number {
    return this.#lengths[this.#first]!;
  }

  /** Copies the oldest packet out; the queue must not be empty. */
  copyFirst(target: Uint8Array, offset: number): void {
    const length = this.firstLength();
    if (length > 0) target.set(this.#bytes.subarray(this.#head, this.#head + length), offset);
  }

  /** Forgets the oldest packet. */
  shift(): void {
    const length = this.#lengths[this.#first]!;
    if (length > 0) this.#data--;
    this.#head += length;
    this.#first = (this.#first + 1) % STAGED_PACKETS;
    this.#count--;
    if (this.#count === 0) this.#release();
  }

  /** Drops everything; returns how many packets with content that were. */
  clear(): number {
    const lost = this.#data;
    this.#count = 0;
    this.#data = 0;
    this.#release();
    return lost;
  }

  #release(): void {
    this.#head = 0;
    this.#tail = 0;
    this.#budget.give(this.#bytes.length);
    this.#bytes = NOTHING;
  }

  /** Makes `length` bytes free behind the tail, by moving or by growing. */
  #makeRoom(length: number): boolean {
    const live = this.#tail - this.#head;
    const capacity = this.#bytes.length;
    if (this.#tail + length <= capacity) return true;
    if (live + length <= capacity / 2) {
      this.#bytes.copyWithin(0, this.#head, this.#tail);
      this.#head = 0;
      this.#tail = live;
      return true;
    }
    let grown = Math.max(capacity, FIRST_CAPACITY);
    while (grown < 2 * (live + length)) grown *= 2;
    if (grown > MAX_CAPACITY || !this.#budget.take(grown - capacity)) {
      // No growing: what fits after moving still fits.
      if (live + length > capacity) return false;
      this.#bytes.copyWithin(0, this.#head, this.#tail);
    } else {
      const bytes = new Uint8Array(grown);
      bytes.set(this.#bytes.subarray(this.#head, this.#tail));
      this.#bytes = bytes;
    }
    this.#head = 0;
    this.#tail = live;
    return true;
  }
}
