/**
 * What one reader of a stream is to be sent yet, handed out in pieces: events that go to many are
 * bytes that all share; a whole netmap is a list of texts, most of them shared by all netmaps of the
 * network, and encoded piece by piece. So a reader that is slow costs a piece and a list.
 */

/**
 * Bytes of a piece, a TLS record: Node keeps for each TLS connection a buffer as large as the largest
 * single write was, for as long as the connection lives.
 */
export const PIECE = 16 * 1_024;
/** UTF-8 of one character. */
const LONGEST_CHARACTER = 4;

interface Texts {
  readonly texts: readonly string[];
  /** Of the text that is next, and what was taken of it. */
  at: number;
  offset: number;
}

export interface Piece {
  readonly data: Buffer;
  /** As `EventQueue.size` counts. */
  readonly size: number;
}

const encoder = new TextEncoder();

export class EventQueue {
  readonly #items: (Buffer | Texts)[] = [];
  #size = 0;

  /** What was not taken yet: bytes, or characters of texts. */
  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** @param event bytes, borrowed, or texts that follow each other */
  push(event: Buffer | readonly string[]): void {
    if (event.length === 0) return;
    if (Buffer.isBuffer(event)) {
      this.#size += event.length;
      this.#items.push(event);
    } else {
      for (const text of event) this.#size += text.length;
      this.#items.push({ texts: event, at: 0, offset: 0 });
    }
  }

  /** At most PIECE bytes of one event. */
  take(): Piece | undefined {
    const [first] = this.#items;
    if (first === undefined) return undefined;
    const piece = Buffer.isBuffer(first) ? this.#takeBytes(first) : this.#takeTexts(first);
    this.#size -= piece.size;
    return piece;
  }

  #takeBytes(bytes: Buffer): Piece {
    const data = bytes.subarray(0, PIECE);
    if (data.length === bytes.length) this.#items.shift();
    else this.#items[0] = bytes.subarray(PIECE);
    return { data, size: data.length };
  }

  #takeTexts(item: Texts): Piece {
    const buffer = Buffer.allocUnsafe(PIECE);
    let length = 0;
    let size = 0;
    while (item.at < item.texts.length && length <= PIECE - LONGEST_CHARACTER) {
      const text = item.texts[item.at]!;
      const { read, written } = encoder.encodeInto(
        text.slice(item.offset),
        buffer.subarray(length),
      );
      length += written;
      size += read;
      item.offset += read;
      if (item.offset < text.length) continue;
      item.at++;
      item.offset = 0;
    }
    if (item.at === item.texts.length) this.#items.shift();
    return { data: buffer.subarray(0, length), size };
  }
}
