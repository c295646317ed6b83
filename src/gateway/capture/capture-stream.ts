/**
 * A capture on the local socket: behind the daemon's first line follow frames, in the byte order of the
 * machine, since both ends are on it:
 *
 *   0  bytes behind these eight    4  kind: 1 = JSON, 2 = whole records of the ring    8  …
 *
 * JSON is `{"peer":N,"name":"…"}` before the first record of that peer, or when its name is another;
 * and `{"captured":N,"lost":N}` at the end. The client half-closes to end it.
 */
export const FRAME_JSON = 1;
export const FRAME_RECORDS = 2;
const HEADER = 8;
/** A record is no longer than a packet and its header; a frame is some of them. */
const MAX_FRAME = 1 << 20;

export type CaptureNews =
  | { readonly peer: number; readonly name: string }
  | { readonly captured: number; readonly lost: number };

/** A frame's bytes. */
export function encodeFrame(kind: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(kind, 4);
  frame.set(payload, HEADER);
  return frame;
}

export function encodeNews(news: CaptureNews): Buffer {
  return encodeFrame(FRAME_JSON, Buffer.from(JSON.stringify(news)));
}

/** Cuts a stream into frames. */
export class FrameReader {
  #parts: Buffer[] = [];
  #length = 0;

  /** Takes bytes as they came. */
  push(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /**
   * The next frame that is whole; undefined = more bytes are needed.
   *
   * @throws Error for what is no stream of ours
   */
  next(): { readonly kind: number; readonly payload: Buffer } | undefined {
    if (this.#length < HEADER) return undefined;
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [bytes];
    const length = bytes.readUInt32LE(0);
    if (length > MAX_FRAME) throw new Error('a frame is too long');
    if (bytes.length < HEADER + length) return undefined;
    this.#parts = [bytes.subarray(HEADER + length)];
    this.#length = bytes.length - HEADER - length;
    return { kind: bytes.readUInt32LE(4), payload: bytes.subarray(HEADER, HEADER + length) };
  }
}
