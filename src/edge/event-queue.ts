/**
 * What one reader of a stream is to be sent yet, handed out in pieces: events that go to many are
 * bytes that all share; a whole netmap is a sequence of texts, most of them shared by all netmaps of
 * the network, and encoded piece by piece. So a reader that is slow costs a piece.
 */

/**
 * Bytes of a piece, a TLS record: Node keeps for each TLS connection a buffer as large as the largest
 * single write was, for as long as the connection lives.
 */
export const PIECE = 16 * 1_024;
/** UTF-8 of one character. */
const LONGEST_CHARACTER = 4;

interface Texts {
  readonly texts: Iterator<string, unknown>;
  /** What is next, from `offset` on; undefined = nothing. */
  text: string | undefined;
  offset: number;
}

/**
 * Pieces that were written are used again: 1,000 readers that come at once would otherwise leave some
 * 60 MB of them behind before the garbage is collected.
 */
const MAX_SPARE = 256;

export interface Piece {
  readonly data: Buffer;
  /** What `data` is part of, to be given back; undefined = others have it too. */
  readonly buffer: Buffer | undefined;
}

const spare: Buffer[] = [];
const encoder = new TextEncoder();

/** Its data was written, and nobody looks at it any more. */
export function giveBack({ buffer }: Piece): void {
  if (buffer !== undefined && spare.length < MAX_SPARE) spare.push(buffer);
}

export class EventQueue {
  readonly #items: (Buffer | Texts)[] = [];
  #size = 0;

  /** Bytes that were not taken yet, of events that are bytes. */
  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** @param event bytes, borrowed, or texts that follow each other, taken over */
  push(event: Buffer | Iterable<string>): void {
    if (Buffer.isBuffer(event)) {
      if (event.length === 0) return;
      this.#size += event.length;
      this.#items.push(event);
      return;
    }
    const item: Texts = { texts: event[Symbol.iterator](), text: undefined, offset: 0 };
    advance(item);
    if (item.text !== undefined) this.#items.push(item);
  }

  /** At most PIECE bytes of one event. */
  take(): Piece | undefined {
    const [first] = this.#items;
    if (first === undefined) return undefined;
    return Buffer.isBuffer(first) ? this.#takeBytes(first) : this.#takeTexts(first);
  }

  #takeBytes(bytes: Buffer): Piece {
    const data = bytes.subarray(0, PIECE);
    if (data.length === bytes.length) this.#items.shift();
    else this.#items[0] = bytes.subarray(PIECE);
    this.#size -= data.length;
    return { data, buffer: undefined };
  }

  #takeTexts(item: Texts): Piece {
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(PIECE);
    let length = 0;
    while (item.text !== undefined && length <= PIECE - LONGEST_CHARACTER) {
      const rest = item.text.slice(item.offset);
      const { read, written } = encoder.encodeInto(rest, buffer.subarray(length));
      length += written;
      item.offset += read;
      if (item.offset === item.text.length) advance(item);
    }
    if (item.text === undefined) this.#items.shift();
    return { data: buffer.subarray(0, length), buffer };
  }
}

/** To the next text that is not empty. */
function advance(item: Texts): void {
  do {
    const { done, value } = item.texts.next();
    item.text = done ? undefined : (value as string);
  } while (item.text === '');
  item.offset = 0;
}
