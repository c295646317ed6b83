/**
 * Path frames (DESIGN § 2): transport messages between our own nodes whose plaintext is no IP packet.
 *
 *   byte 0        1 PING, 2 PONG, 3 FAREWELL: as IP's version field, in the high half, it is 0
 *   bytes 1..7    0; not looked at by the receiver
 *   bytes 8..15   transaction id: random of the PING's sender, repeated by the PONG
 *   from 16 on    padding of a PING that tests whether a message of its size gets through: 0, not
 *                 looked at
 *
 * A PONG is 16 bytes and so never longer than its PING. No IP packet is that short. A FAREWELL is for an
 * edge (farewells.ts): 16 bytes, its id is 0 and not looked at.
 */
import { writeU32 } from './messages.ts';

export const PATH_FRAME_SIZE = 16;
export const PATH_PING = 1;
export const PATH_PONG = 2;
export const PATH_FAREWELL = 3;

/** Where the two words of the transaction id lie. */
export const PATH_FRAME_ID = 8;

/** Whether the plaintext at `offset` is no IP packet but one of ours. Hot path. */
export function isPathFrame(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset]! >>> 4 === 0;
}

/** PATH_PING or PATH_PONG; 0 if the `length` bytes at `offset` are neither. */
export function decodePathFrame(bytes: Uint8Array, offset: number, length: number): number {
  if (length < PATH_FRAME_SIZE || offset + length > bytes.length) return 0;
  const type = bytes[offset]!;
  return type === PATH_PING || type === PATH_PONG ? type : 0;
}

/** Whether the `length` bytes at `offset` are a FAREWELL. */
export function isFarewell(bytes: Uint8Array, offset: number, length: number): boolean {
  return (
    length >= PATH_FRAME_SIZE && offset + length <= bytes.length && bytes[offset] === PATH_FAREWELL
  );
}

/** Writes a frame of `size` bytes, padding included. */
export function encodePathFrame(
  bytes: Uint8Array,
  offset: number,
  size: number,
  type: number,
  id0: number,
  id1: number,
): void {
  bytes.fill(0, offset, offset + size);
  bytes[offset] = type;
  writeU32(bytes, offset + PATH_FRAME_ID, id0);
  writeU32(bytes, offset + PATH_FRAME_ID + 4, id1);
}
