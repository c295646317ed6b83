/**
 * Decodes a stream of server-sent events (WHATWG HTML § 9.2.6) from its bytes, in whatever pieces they
 * come. Pure. Bounded: an event, or a line, that is longer than the limit ends the decoding.
 *
 * Of the fields, `event`, `data` and `id` are read; `retry` and unknown ones are ignored, as the
 * standard has it. Lines end with LF, CR LF or CR.
 */

export interface ServerSentEvent {
  /** `message` if the stream did not say. */
  readonly name: string;
  readonly data: string;
  /** The last id that the stream gave, with this event or before; empty = none. */
  readonly id: string;
}

const LF = 10;
const CR = 13;

export class EventStreamDecoder {
  readonly #limit: number;
  readonly #text = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Bytes of a line whose end has not come. */
  #partial: Uint8Array[] = [];
  #partialLength = 0;
  #afterCr = false;
  #first = true;
  #name = '';
  #data: string[] = [];
  #dataLength = 0;
  #id = '';

  /** @param limit most bytes of a line, and most characters of an event's data */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * The events that are complete with these bytes (borrowed until return). Undefined: something is
   * longer than the limit, and the stream is of no further use.
   */
  decode(bytes: Uint8Array): ServerSentEvent[] | undefined {
    const events: ServerSentEvent[] = [];
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte !== LF && byte !== CR) {
        this.#afterCr = false;
        continue;
      }
      // The LF of a CR LF ends no other line.
      if (byte === LF && this.#afterCr) start = at + 1;
      else if (!this.#endLine(bytes.subarray(start, at), events)) return undefined;
      this.#afterCr = byte === CR;
      start = at + 1;
    }
    if (start < bytes.length && !this.#keep(bytes.slice(start))) return undefined;
    return events;
  }

  #keep(piece: Uint8Array): boolean {
    this.#partial.push(piece);
    this.#partialLength += piece.length;
    return this.#partialLength <= this.#limit;
  }

  #endLine(rest: Uint8Array, events: ServerSentEvent[]): boolean {
    if (!this.#keep(rest)) return false;
    const whole = this.#partial.length === 1 ? rest : Buffer.concat(this.#partial);
    this.#partial = [];
    this.#partialLength = 0;
    let line = this.#text.decode(whole);
    if (this.#first) {
      this.#first = false;
      if (line.startsWith('\uFEFF')) line = line.slice(1);
    }
    if (line === '') this.#dispatch(events);
    else this.#takeField(line);
    return this.#dataLength <= this.#limit;
  }

  #takeField(line: string): void {
    const colon = line.indexOf(':');
    // A comment: the server's sign of life.
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const from = line[colon + 1] === ' ' ? colon + 2 : colon + 1;
    const value = colon < 0 ? '' : line.slice(from);
    if (field === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length + 1;
    } else if (field === 'event') {
      this.#name = value;
    } else if (field === 'id' && !value.includes('\0')) {
      this.#id = value;
    }
  }

  #dispatch(events: ServerSentEvent[]): void {
    if (this.#data.length > 0) {
      const name = this.#name === '' ? 'message' : this.#name;
      events.push({ name, data: this.#data.join('\n'), id: this.#id });
    }
    this.#name = '';
    this.#data = [];
    this.#dataLength = 0;
  }
}
