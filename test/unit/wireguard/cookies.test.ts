/** mac1, mac2 and cookie replies, step by step against the formulas (whitepaper § 5.4.4, 5.4.7). */
import { describe, expect, it } from 'vitest';
import { bytesToHex } from '../../../src/bytes.ts';
import { ENDPOINT_RECORD_WORDS } from '../../../src/vector.ts';
import {
  COOKIE_REFRESH_TIME,
  CookieChecker,
  CookieGenerator,
} from '../../../src/wireguard/cookies.ts';
import { decodeCookieReply } from '../../../src/wireguard/messages.ts';
import { noblePrimitives } from '../../../src/wireguard/noble-primitives.ts';
import { xaeadOpen } from '../../../src/wireguard/xaead.ts';
import { Random, recordOf } from '../../simulation/world.ts';
import { referenceBlake2s } from '../../vectors/reference-blake2s.ts';

const random = new Random(5);
const fill = (into: Uint8Array) => random.fill(into);
const key = new Uint8Array(32).fill(3);
const source = recordOf({ ip: [192, 0, 2, 1], port: 51820 });
const text = new TextEncoder();

/** An initiation or a response with macs, as far as macs are concerned. */
function message(generator: CookieGenerator, size: number, now: number): Uint8Array {
  const bytes = new Uint8Array(size);
  random.fill(bytes);
  bytes[0] = size === 148 ? 1 : 2;
  generator.addMacs(bytes, now);
  return bytes;
}

describe('macs', () => {
  it.each([148, 92])(
    'mac1 of a message of %i bytes is the formula’s, mac2 zero without cookie',
    (size) => {
      const bytes = message(new CookieGenerator(key, noblePrimitives), size, 0);
      const label = new Uint8Array([...text.encode('mac1----'), ...key]);
      const macKey = referenceBlake2s(label, 32);
      expect(bytesToHex(bytes.subarray(size - 32, size - 16))).toBe(
        bytesToHex(referenceBlake2s(bytes.subarray(0, size - 32), 16, macKey)),
      );
      expect(bytes.subarray(size - 16).every((byte) => byte === 0)).toBe(true);
      const checker = new CookieChecker(key, fill, noblePrimitives);
      expect(checker.checkMac1(bytes)).toBe(true);
      for (let at = 0; at < size - 16; at++) {
        const damaged = bytes.slice();
        damaged[at]! ^= 1;
        expect(checker.checkMac1(damaged)).toBe(false);
      }
      expect(new CookieChecker(new Uint8Array(32), fill, noblePrimitives).checkMac1(bytes)).toBe(
        false,
      );
    },
  );

  it('mac2 is the formula’s, with the cookie out of the reply', () => {
    const generator = new CookieGenerator(key, noblePrimitives);
    const checker = new CookieChecker(key, fill, noblePrimitives);
    const first = message(generator, 148, 0);
    expect(checker.checkMac2(first, source, 0, 0)).toBe(false);
    const reply = decodeCookieReply(checker.createReply(first, source, 0, 0))!;
    expect(reply.receiver).toBe(new DataView(first.buffer).getUint32(4, true));
    const cookieKey = noblePrimitives.hash(text.encode('cookie--'), key);
    const cookie = xaeadOpen(
      cookieKey,
      reply.nonce,
      reply.encryptedCookie,
      first.subarray(116, 132),
    )!;
    expect(cookie).toHaveLength(16);
    expect(generator.consumeReply(reply, 0)).toBe(true);
    const second = message(generator, 92, 0);
    expect(bytesToHex(second.subarray(76))).toBe(
      bytesToHex(referenceBlake2s(second.subarray(0, 76), 16, cookie)),
    );
    expect(checker.checkMac2(second, source, 0, 0)).toBe(true);
  });

  it('mac2 holds for one source only: address, port, scope and relay id', () => {
    const generator = new CookieGenerator(key, noblePrimitives);
    const checker = new CookieChecker(key, fill, noblePrimitives);
    const reply = checker.createReply(message(generator, 148, 0), source, 0, 0);
    generator.consumeReply(decodeCookieReply(reply)!, 0);
    const bytes = message(generator, 148, 0);
    for (let word = 0; word < ENDPOINT_RECORD_WORDS; word++) {
      const other = source.slice();
      other[word]! ^= 0x10000;
      // The local address (6 to 10) is no part of a source.
      expect(checker.checkMac2(bytes, other, 0, 0)).toBe(word >= 6 && word <= 10);
    }
  });

  it('cookies last two minutes, and the secret is then another one', () => {
    const generator = new CookieGenerator(key, noblePrimitives);
    const checker = new CookieChecker(key, fill, noblePrimitives);
    const ask = (now: number): Uint8Array => {
      const reply = checker.createReply(message(generator, 148, now), source, 0, now);
      expect(generator.consumeReply(decodeCookieReply(reply)!, now)).toBe(true);
      return message(generator, 148, now);
    };
    const early = ask(0);
    expect(checker.checkMac2(early, source, 0, COOKIE_REFRESH_TIME)).toBe(true);
    expect(checker.checkMac2(early, source, 0, COOKIE_REFRESH_TIME + 1)).toBe(false);
    const late = ask(COOKIE_REFRESH_TIME + 1);
    expect(checker.checkMac2(late, source, 0, COOKIE_REFRESH_TIME + 1)).toBe(true);
    expect(checker.checkMac2(early, source, 0, COOKIE_REFRESH_TIME + 1)).toBe(false);
    // The receiver of a cookie stops using it just as long after it came.
    const end = 2 * COOKIE_REFRESH_TIME + 1;
    expect(
      message(generator, 148, end)
        .subarray(132)
        .some((byte) => byte !== 0),
    ).toBe(true);
    expect(
      message(generator, 148, end + 1)
        .subarray(132)
        .some((byte) => byte !== 0),
    ).toBe(false);
  });
});

describe('a cookie reply', () => {
  it('counts once, and only for the last message sent', () => {
    const generator = new CookieGenerator(key, noblePrimitives);
    const checker = new CookieChecker(key, fill, noblePrimitives);
    const old = message(generator, 148, 0);
    const last = message(generator, 148, 0);
    const toOld = decodeCookieReply(checker.createReply(old, source, 0, 0))!;
    const toLast = decodeCookieReply(checker.createReply(last, source, 0, 0))!;
    expect(generator.consumeReply(toOld, 0)).toBe(false);
    expect(generator.consumeReply(toLast, 0)).toBe(true);
    expect(generator.consumeReply(toLast, 0)).toBe(false);
    expect(new CookieGenerator(key, noblePrimitives).consumeReply(toLast, 0)).toBe(false);
  });

  it('with any bit changed is refused, and the true one still counts', () => {
    const generator = new CookieGenerator(key, noblePrimitives);
    const checker = new CookieChecker(key, fill, noblePrimitives);
    const reply = checker.createReply(message(generator, 148, 0), source, 0, 0);
    for (let at = 8; at < 64; at++) {
      const damaged = reply.slice();
      damaged[at]! ^= 1 << (at % 8);
      expect(generator.consumeReply(decodeCookieReply(damaged)!, 0)).toBe(false);
    }
    expect(generator.consumeReply(decodeCookieReply(reply)!, 0)).toBe(true);
  });

  it('never uses a nonce again', () => {
    const checker = new CookieChecker(key, fill, noblePrimitives);
    const asked = message(new CookieGenerator(key, noblePrimitives), 148, 0);
    const nonces = new Set<string>();
    for (let i = 0; i < 100; i++) {
      nonces.add(bytesToHex(checker.createReply(asked, source, 0, 0).subarray(8, 32)));
    }
    expect(nonces.size).toBe(100);
  });
});
