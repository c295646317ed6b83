/** Whatever is in a path frame: it is read or refused, never an exception. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readU32 } from '../../src/wireguard/messages.ts';
import {
  decodePathFrame,
  encodePathFrame,
  isFarewell,
  isPathFrame,
  PATH_FRAME_ID,
  PATH_FRAME_SIZE,
  PATH_PING,
  PATH_PONG,
} from '../../src/wireguard/path-frames.ts';

const words = fc.integer({ min: 0, max: 0xffff_ffff });

describe('path frames', () => {
  it('of any bytes are refused or one of the two', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(80), fc.nat(80), (bytes, at, length) => {
        const type = decodePathFrame(bytes, at, length);
        const whole = length >= PATH_FRAME_SIZE && at + length <= bytes.length;
        expect(type).toBe(whole && (bytes[at] === 1 || bytes[at] === 2) ? bytes[at] : 0);
        expect(isFarewell(bytes, at, length)).toBe(whole && bytes[at] === 3);
      }),
    );
  });

  it('are read as they were written', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(PATH_PING, PATH_PONG),
        fc.integer({ min: PATH_FRAME_SIZE, max: 9_000 }),
        fc.nat(32),
        words,
        words,
        (type, size, at, id0, id1) => {
          const bytes = new Uint8Array(at + size + 16).fill(0xee);
          encodePathFrame(bytes, at, size, type, id0, id1);
          expect(isPathFrame(bytes, at)).toBe(true);
          expect(decodePathFrame(bytes, at, size)).toBe(type);
          expect(readU32(bytes, at + PATH_FRAME_ID)).toBe(id0);
          expect(readU32(bytes, at + PATH_FRAME_ID + 4)).toBe(id1);
          // Nothing of what lay there before leaves with the padding, and nothing else is touched.
          expect(bytes.subarray(at + PATH_FRAME_SIZE, at + size).every((b) => b === 0)).toBe(true);
          expect(bytes.subarray(0, at).every((b) => b === 0xee)).toBe(true);
          expect(bytes.subarray(at + size).every((b) => b === 0xee)).toBe(true);
        },
      ),
    );
  });
});
