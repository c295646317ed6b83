/**
 * Published vectors through the addon. The AEAD's interface takes a nonce of four zero bytes and a
 * little-endian counter and no additional data (whitepaper § 5.4.6), so from RFC 8439 those that fit:
 * the key stream of § 2.3.2 and appendix A.1 shows through the sealed text, and the tag is computed
 * anew from appendix A.4's one-time keys. The whole is compared with what node:crypto makes of it.
 */
import { createCipheriv } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../../src/bytes.ts';
import { OpensslAead } from '../../src/native/openssl-aead.ts';
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

describe('X25519 (RFC 7748)', () => {
  const x25519 = (scalar: string, point: string): string => {
    const out = new Uint8Array(32);
    expect(addon.x25519(out, bytes(scalar), bytes(point))).toBe(true);
    return bytesToHex(out);
  };

  test.each([
    [
      'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
      'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    ],
    [
      '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
      'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
      '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    ],
  ])('§ 5.2: %s', (scalar, point, wanted) => {
    expect(x25519(scalar, point)).toBe(wanted);
  });

  test('§ 5.2: a thousand iterations', () => {
    let k = `09${'00'.repeat(31)}`;
    let u = k;
    for (let i = 0; i < 1000; i++) {
      [k, u] = [x25519(k, u), k];
      if (i === 0)
        expect(k).toBe('422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
    }
    expect(k).toBe('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  test('§ 6.1: public keys and the shared secret', () => {
    const alice = '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a';
    const alicePublic = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
    const bob = '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb';
    const bobPublic = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    for (const [secret, wanted] of [
      [alice, alicePublic],
      [bob, bobPublic],
    ] as const) {
      const out = new Uint8Array(32);
      expect(addon.x25519Base(out, bytes(secret))).toBe(true);
      expect(bytesToHex(out)).toBe(wanted);
    }
    expect(x25519(alice, bobPublic)).toBe(shared);
    expect(x25519(bob, alicePublic)).toBe(shared);
  });

  test('a shared secret of zero is refused (§ 6.1)', () => {
    const out = new Uint8Array(32);
    const scalar = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
    // The points of small order.
    for (const point of [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      `ec${'ff'.repeat(30)}7f`,
      `ed${'ff'.repeat(30)}7f`,
      `ee${'ff'.repeat(30)}7f`,
    ]) {
      expect(addon.x25519(out, scalar, bytes(point))).toBe(false);
    }
  });
});
