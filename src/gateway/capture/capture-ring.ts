/**
 * Captured packets on their way from the data-plane worker to the main thread: a ring in shared memory
 * with one writer, which never waits, and one reader. What finds no room is lost and counted.
 *
 *   control, 32-bit words   0 head: bytes written    1 tail: bytes read, both modulo 2^32
 *                           2 packets written        3 packets lost
 *   data                    records, each a multiple of 8 bytes and in one piece; a first word of 0
 *                           means that the next record is at the beginning
 *
 * A record, in the byte order of the machine:
 *
 *   0  bytes of the record       4  bytes of the packet       8  bytes of it that are here
 *  12  peer's number, -1 = none 16  verdict                  20  direction | path known << 2
 *  24  relay id, 0 = direct     28  packets lost before it   32  milliseconds since 1970, a double
 *  40  the packet
 */

const CONTROL_WORDS = 4;
const HEAD = 0;
const TAIL = 1;
const WRITTEN = 2;
const LOST = 3;

export const RECORD_HEADER = 40;

/** Bytes of data; a power of two. At 4 Gbit/s of whole packets it holds 16 ms. */
export const RING_SIZE = 8 << 20;

/** `verdict` of a record; what is above is VERDICT_DROPPED and the number of the reason. */
export const VERDICT_ACCEPTED = 0;
/** Waits for a session with its peer. */
export const VERDICT_STAGED = 1;
export const VERDICT_DROPPED = 2;

export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;
export const DIRECTION_MASK = 3;
export const PATH_KNOWN = 4;

export function createCaptureRing(size = RING_SIZE): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_WORDS * 4 + size);
}

class RingView {
  readonly control: Int32Array;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly size: number;

  constructor(buffer: SharedArrayBuffer) {
    this.size = buffer.byteLength - CONTROL_WORDS * 4;
    if ((this.size & (this.size - 1)) !== 0) throw new Error('the size is no power of two');
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.bytes = new Uint8Array(buffer, CONTROL_WORDS * 4);
    this.words = new Int32Array(buffer, CONTROL_WORDS * 4, this.size / 4);
  }
}

/** The data plane's end. Allocates nothing per packet. */
export class CaptureWriter extends RingView {
  readonly #times: Float64Array;
  #lostBefore = 0;
  /** The arenas that packets come from, as words: four bytes at once are four times as fast. */
  readonly #arenas = new Map<Uint8Array, Int32Array>();

  constructor(buffer: SharedArrayBuffer) {
    super(buffer);
    this.#times = new Float64Array(buffer, CONTROL_WORDS * 4, this.size / 8);
  }

  /** Copies `captured` of the `length` bytes at `offset`, if there is room. */
  write(
    from: Uint8Array,
    offset: number,
    length: number,
    captured: number,
    peer: number,
    verdict: number,
    direction: number,
    relayId: number,
    unix: number,
  ): void {
    const { control, bytes, words, size } = this;
    const head = control[HEAD]! >>> 0;
    const used = (head - (Atomics.load(control, TAIL) >>> 0)) >>> 0;
    const needed = (RECORD_HEADER + captured + 7) & ~7;
    let at = head & (size - 1);
    const skipped = at + needed > size ? size - at : 0;
    if (used + skipped + needed > size) {
      this.#lostBefore++;
      Atomics.add(control, LOST, 1);
      return;
    }
    if (skipped > 0) {
      words[at >>> 2] = 0;
      at = 0;
    }
    const word = at >>> 2;
    words[word] = needed;
    words[word + 1] = length;
    words[word + 2] = captured;
    words[word + 3] = peer;
    words[word + 4] = verdict;
    words[word + 5] = direction;
    words[word + 6] = relayId;
    words[word + 7] = this.#lostBefore;
    this.#times[(at >>> 3) + 4] = unix;
    if ((offset & 3) === 0) this.#copyWords(from, offset, (at + RECORD_HEADER) >>> 2, captured);
    else {
      const to = at + RECORD_HEADER;
      for (let i = 0; i < captured; i++) bytes[to + i] = from[offset + i]!;
    }
    this.#lostBefore = 0;
    Atomics.add(control, WRITTEN, 1);
    Atomics.store(control, HEAD, (head + skipped + needed) | 0);
  }

  /** Up to three bytes more than asked for, which the record has room for. */
  #copyWords(from: Uint8Array, offset: number, word: number, captured: number): void {
    let arena = this.#arenas.get(from);
    if (arena === undefined) {
      arena = new Int32Array(from.buffer, from.byteOffset, from.length >>> 2);
      this.#arenas.set(from, arena);
    }
    const { words } = this;
    const first = offset >>> 2;
    const count = (captured + 3) >>> 2;
    for (let i = 0; i < count; i++) words[word + i] = arena[first + i]!;
  }
}

/** The main thread's end. */
export class CaptureReader extends RingView {
  get written(): number {
    return Atomics.load(this.control, WRITTEN) >>> 0;
  }

  get lost(): number {
    return Atomics.load(this.control, LOST) >>> 0;
  }

  /** Whole records, a copy of at most so many bytes (of one record at least); undefined = none. */
  read(most: number): Uint8Array | undefined {
    const { control, bytes, words, size } = this;
    const head = Atomics.load(control, HEAD) >>> 0;
    let tail = control[TAIL]! >>> 0;
    let at = tail & (size - 1);
    if (head !== tail && words[at >>> 2] === 0) {
      tail = (tail + size - at) >>> 0;
      at = 0;
    }
    let end = at;
    let left = (head - tail) >>> 0;
    while (left > 0 && end < size) {
      const length = words[end >>> 2]!;
      if (length === 0 || (end > at && end + length - at > most)) break;
      end += length;
      left -= length;
    }
    if (end === at) return undefined;
    const records = bytes.slice(at, end);
    Atomics.store(control, TAIL, (tail + end - at) | 0);
    return new Uint8Array(records);
  }
}
