/** Every decoder of a message: returns, never throws, and reads back what was encoded. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeCookieReply,
  decodeInitiation,
  decodeResponse,
  decodeTransportData,
  encodeCookieReply,
  encodeInitiation,
  encodeResponse,
  readCounter,
  relayIdOf,
  stampRelayId,
  writeCounter,
} from '../../src/wireguard/messages.ts';

const index = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe('decoders', () => {
  it('take any bytes and find a message only in the right length, type and zero bytes', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(fc.constantFrom(32, 64, 92, 148), fc.constantFrom(1, 2, 3, 4))
        .chain(([length, type]) =>
          bytes(length).map((content) => {
            content.set([type, 0, 0, 0]);
            return content;
          }),
        ),
    );
    fc.assert(
      fc.property(anything, (content) => {
        const head = content.length < 4 ? -1 : new DataView(content.buffer).getUint32(0, true);
        const isOf = (type: number, length: number) => head === type && content.length === length;
        expect(decodeInitiation(content) !== undefined).toBe(isOf(1, 148));
        expect(decodeResponse(content) !== undefined).toBe(isOf(2, 92));
        expect(decodeCookieReply(content) !== undefined).toBe(isOf(3, 64));
        expect(decodeTransportData(content) !== undefined).toBe(head === 4 && content.length >= 32);
      }),
      { numRuns: 20_000 },
    );
  });

  it('read what the encoders write', () => {
    fc.assert(
      fc.property(
        index,
        index,
        bytes(32),
        bytes(48),
        bytes(28),
        bytes(16),
        bytes(24),
        (sender, receiver, b32, b48, b28, b16, b24) => {
          const initiation = {
            sender,
            ephemeral: b32,
            encryptedStatic: b48,
            encryptedTimestamp: b28,
          };
          expect(decodeInitiation(encodeInitiation(initiation))).toEqual(initiation);
          const response = { sender, receiver, ephemeral: b32, encryptedNothing: b16 };
          expect(decodeResponse(encodeResponse(response))).toEqual(response);
          const reply = { receiver, nonce: b24, encryptedCookie: b32 };
          expect(decodeCookieReply(encodeCookieReply(reply))).toEqual(reply);
        },
      ),
    );
  });

  it('keep relay ids and counters', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xff_ffff }),
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        (relayId, counter) => {
          const message = new Uint8Array(16);
          message[0] = 4;
          stampRelayId(message, relayId);
          writeCounter(message, 8, counter);
          expect([message[0], relayIdOf(message), readCounter(message, 8)]).toEqual([
            4,
            relayId,
            counter,
          ]);
        },
      ),
    );
  });
});
