/** The functions that the protocol is built from, against published vectors. */
import { createHmac, randomBytes } from 'node:crypto';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { describe, expect, it } from 'vitest';
import { bytesToHex, hexToBytes } from '../../src/bytes.ts';
import { hmac, noblePrimitives } from '../../src/wireguard/noble-primitives.ts';
import { encodeTimestamp, isLater, TIMESTAMP_STEP } from '../../src/wireguard/tai64n.ts';
import { xaeadOpen, xaeadSeal } from '../../src/wireguard/xaead.ts';
import { fastCurve } from '../simulation/fast-curve.ts';
import { describePrimitives } from './primitives-vectors.ts';

const text = new TextEncoder();
const hex = (digits: string): Uint8Array => hexToBytes(digits.replace(/\s/g, ''))!;

describe.each([
  ['noble', noblePrimitives],
  ["noble with the tests' curve", { ...noblePrimitives, ...fastCurve }],
])('%s', (_, primitives) => describePrimitives(primitives));

describe('Hmac', () => {
  it('agrees with OpenSSL about Hmac', () => {
    for (const length of [0, 1, 31, 32, 33, 64, 100]) {
      const key = Uint8Array.from(randomBytes(32));
      const input = Uint8Array.from(randomBytes(length));
      const expected = createHmac('blake2s256', key).update(input).update('x').digest('hex');
      expect(bytesToHex(hmac(key, input, text.encode('x')))).toBe(expected);
    }
  });
});

const LADIES = text.encode(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " +
    'sunscreen would be it.',
);

describe('ChaCha20-Poly1305', () => {
  it('seals the example of RFC 8439 § 2.8.2', () => {
    const sealed = chacha20poly1305(
      hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'),
      hex('070000004041424344454647'),
      hex('50515253c0c1c2c3c4c5c6c7'),
    ).encrypt(LADIES);
    expect(bytesToHex(sealed)).toBe(
      bytesToHex(
        hex(`d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
          3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
          92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
          3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691`),
      ),
    );
  });
});

describe('XChaCha20-Poly1305', () => {
  // draft-irtf-cfrg-xchacha-03 appendix A.3.1
  const key = hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f');
  const nonce = hex('404142434445464748494a4b4c4d4e4f5051525354555657');
  const authenticated = hex('50515253c0c1c2c3c4c5c6c7');
  const sealed = hex(`bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb
    731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb
    9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e
    c0875924c1c7987947deafd8780acf49`);

  it('seals and opens the example of the draft', () => {
    expect(bytesToHex(xaeadSeal(key, nonce, LADIES, authenticated))).toBe(bytesToHex(sealed));
    expect(xaeadOpen(key, nonce, sealed, authenticated)).toEqual(LADIES);
  });

  it('refuses it with any bit changed', () => {
    for (let i = 0; i < sealed.length; i++) {
      const damaged = sealed.slice();
      damaged[i]! ^= 1 << (i % 8);
      expect(xaeadOpen(key, nonce, damaged, authenticated)).toBeUndefined();
    }
    expect(xaeadOpen(key, nonce, sealed.subarray(0, 15), authenticated)).toBeUndefined();
  });
});

describe('TAI64N', () => {
  it('labels the second of https://cr.yp.to/libtai/tai64.html, ten leap seconds before it', () => {
    // 400000002a2b2c2d is 1992-06-02 08:07:09 TAI; WireGuard's labels take TAI - UTC as 10 s.
    const unix = Date.UTC(1992, 5, 2, 8, 7, 9) - 10_000;
    expect(bytesToHex(encodeTimestamp(unix))).toBe('400000002a2b2c2d00000000');
    expect(bytesToHex(encodeTimestamp(0))).toBe('400000000000000a00000000');
  });

  it('shows no more of the clock than 2^24 ns, as wireguard-go', () => {
    const base = 1_700_000_000_000;
    const nanoseconds = (ms: number) =>
      new DataView(encodeTimestamp(base + ms).buffer).getUint32(8);
    for (let ms = 0; ms < 1_000; ms++) {
      expect(nanoseconds(ms)).toBe((ms * 1_000_000) & ~0xff_ffff);
    }
    expect(nanoseconds(0.5)).toBe(0);
  });

  it('is later by strict comparison, and always one step later', () => {
    const base = 1_699_999_999_000;
    for (let ms = 0; ms < 2_100; ms++) {
      const at = encodeTimestamp(base + ms);
      expect(isLater(at, at)).toBe(false);
      expect(isLater(encodeTimestamp(base + ms + TIMESTAMP_STEP), at)).toBe(true);
      expect(isLater(at, encodeTimestamp(base + ms + TIMESTAMP_STEP))).toBe(false);
    }
  });
});
