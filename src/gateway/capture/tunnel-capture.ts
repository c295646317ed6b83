/** A capture that runs in a tunnel, as the main thread holds it. */
import { CaptureReader } from './capture-ring.ts';

export interface CaptureOptions {
  /** An expression that parses (routing/packet-filter-syntax.ts); undefined = everything. */
  readonly filter: string | undefined;
  /** Hexadecimal public keys of the peers that are meant; undefined = all, and packets of none. */
  readonly peers: readonly string[] | undefined;
  /** Bytes kept of a packet. */
  readonly snaplen: number;
}

export interface CaptureParts {
  readonly ring: SharedArrayBuffer;
  /** Hexadecimal public keys of all peers, with their numbers. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Tells the data plane which peers are meant. */
  readonly usePeers: (numbers: readonly number[]) => void;
  readonly onClose: () => void;
}

export class TunnelCapture {
  readonly #parts: CaptureParts;
  readonly #reader: CaptureReader;
  #told: string | undefined;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    this.#reader = new CaptureReader(parts.ring);
  }

  /** Whole records (captured-packet.ts), about so many bytes; undefined = none now. */
  read(most: number): Uint8Array | undefined {
    return this.#reader.read(most);
  }

  /** Packets captured so far. */
  get captured(): number {
    return this.#reader.written;
  }

  /** Packets that found no room. */
  get lost(): number {
    return this.#reader.lost;
  }

  /** Only packets of these peers from now on; to be repeated, for a peer's number may change. */
  usePeers(keys: readonly string[]): void {
    const numbers = numbersOf(keys, this.#parts.numbers);
    if (numbers.join() === this.#told) return;
    this.#told = numbers.join();
    this.#parts.usePeers(numbers);
  }

  /** Hexadecimal public key by number. */
  keys(): ReadonlyMap<number, string> {
    return new Map([...this.#parts.numbers].map(([key, number]) => [number, key]));
  }

  /** Ends it. What was captured can still be read. */
  close(): void {
    this.#parts.onClose();
  }
}

/** Of those that there are. */
export function numbersOf(
  keys: readonly string[],
  numbers: ReadonlyMap<string, number>,
): readonly number[] {
  return keys.map((key) => numbers.get(key)).filter((number) => number !== undefined);
}
