/**
 * Published vectors through the addon. The AEAD's interface takes a nonce of four zero bytes and a
 * little-endian counter and no additional data (whitepaper § 5.4.6), so from RFC 8439 those that fit:
 * the key stream of § 2.3.2 and appendix A.1 shows through the sealed text, and the tag is computed
 * anew from appendix A.4's one-time keys. The whole is compared with what node:crypto makes of it.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../../src/bytes.ts';
import { OpensslAead } from '../../src/native/openssl-aead.ts';
import { OpensslPrimitives } from '../../src/native/openssl-primitives.ts';
import { describePrimitives } from '../vectors/primitives-vectors.ts';
import { addon, inboundOf, outboundOf } from './addon-under-test.ts';

const bytes = (hex: string): Uint8Array => hexToBytes(hex.replace(/\s/g, ''))!;

function seal(evp: boolean, key: Uint8Array, counter: number, text: Uint8Array): Uint8Array {
  const aead = new OpensslAead(addon, 1, evp);
  aead.setKeys(0, key, key);
  const shape = { count: 1, size: text.length, lastSize: text.length, counter, slot: 0 };
  const vector = outboundOf([shape], 0, 1);
  vector.arena.set(text, 16);
  aead.sealVector(vector);
  const sealed = vector.arena.slice();
  const received = inboundOf(vector);
  aead.openVector(received);
  expect(received.plain[0]).toBe(text.length);
  expect(received.counter[0]).toBe(counter);
  expect(received.arena.subarray(16, 16 + text.length)).toEqual(text);
  return sealed;
}

describe.each([
  ['primitives', false],
  ['EVP', true],
])('ChaCha20-Poly1305 by %s', (_, evp) => {
  // Appendix A.1 #2 (key 0, nonce 0, block 1), #3 (key …01, block 1), #5's key stream is of block 0.
  it.each([
    [
      'RFC 8439 A.1 #2',
      '00'.repeat(32),
      0,
      `9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed
       29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f`,
    ],
    [
      'RFC 8439 A.1 #3',
      `${'00'.repeat(31)}01`,
      0,
      `3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a
       8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0`,
    ],
  ])('shows the key stream of %s', (_name, key, counter, stream) => {
    const sealed = seal(evp, bytes(key), counter, new Uint8Array(64));
    expect(bytesToHex(sealed.subarray(16, 80))).toBe(bytesToHex(bytes(stream)));
  });

  it('seals the text of RFC 8439 § 2.4.2 as node:crypto does, with the nonce of a counter', () => {
    const text = new TextEncoder().encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const key = Uint8Array.from({ length: 32 }, (_v, i) => i);
    for (const counter of [0, 1, 0x4a, 2 ** 32, 2 ** 53 - 2]) {
      const nonce = Buffer.alloc(12);
      nonce.writeBigUInt64LE(BigInt(counter), 4);
      const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
      const wanted = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
      const sealed = seal(evp, key, counter, text);
      expect(bytesToHex(sealed.subarray(16))).toBe(wanted.toString('hex'));
      expect(Buffer.from(sealed).readBigUInt64LE(8)).toBe(BigInt(counter));
    }
  });
});

describe("the handshake's functions", () => {
  const primitives = new OpensslPrimitives(addon);
  describePrimitives(primitives);

  test('X25519, a thousand iterations (RFC 7748 § 5.2)', () => {
    let k = bytes(`09${'00'.repeat(31)}`);
    let u = k;
    for (let i = 0; i < 1000; i++) {
      const out = new Uint8Array(32);
      expect(primitives.x25519(out, k, u)).toBe(true);
      [k, u] = [out, k];
      if (i === 0) {
        expect(bytesToHex(k)).toBe(
          '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079',
        );
      }
    }
    expect(bytesToHex(k)).toBe('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  test('keys, inputs and results do not stay in the area', () => {
    const area = new Uint8Array(416);
    const noise = addon.createNoise(area);
    for (const call of [
      () => addon.noiseHash(noise, 64),
      () => addon.noiseMac(noise, 64),
      () => addon.noiseKdf(noise, 32, 3),
      () => addon.noiseX25519(noise),
      () => addon.noiseX25519Base(noise),
      () => addon.noiseSeal(noise, 32, 32),
    ]) {
      area.fill(7);
      expect(call()).toBe(true);
      expect(area.subarray(96)).toEqual(new Uint8Array(320));
    }
    addon.release(noise);
  });
});

test('sizes that the area has no room for are refused', () => {
  const noise = addon.createNoise(new Uint8Array(416));
  expect(addon.noiseHash(noise, 289)).toBe(false);
  expect(addon.noiseMac(noise, 289)).toBe(false);
  expect(addon.noiseKdf(noise, 289, 1)).toBe(false);
  expect(addon.noiseKdf(noise, 32, 0)).toBe(false);
  expect(addon.noiseKdf(noise, 32, 4)).toBe(false);
  expect(addon.noiseSeal(noise, 33, 32)).toBe(false);
  expect(addon.noiseSeal(noise, 32, 257)).toBe(false);
  expect(addon.noiseOpen(noise, 15, 32)).toBe(false);
  expect(addon.noiseOpen(noise, 49, 32)).toBe(false);
  expect(addon.noiseOpen(noise, 48, 241)).toBe(false);
  addon.release(noise);
});

test("a refusal is no error of node's own OpenSSL", () => {
  const saidOf = (name: string): string => {
    try {
      createHash(name);
      return 'known';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const before = saidOf('no-such-hash');
  const primitives = new OpensslPrimitives(addon);
  const [out, key] = [new Uint8Array(32), new Uint8Array(32).fill(7)];
  expect(primitives.x25519(out, key, new Uint8Array(32))).toBe(false);
  expect(primitives.open(key, new Uint8Array(48), key)).toBeUndefined();
  expect(saidOf('no-such-hash')).toBe(before);
});
