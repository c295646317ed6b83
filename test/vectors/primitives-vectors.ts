/**
 * The handshake's functions against published vectors, whoever implements them: called by a test of
 * noble's and by one of the addon's.
 */
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { blake2s } from '@noble/hashes/blake2.js';
import { describe, expect, it } from 'vitest';
import { bytesToHex, hexToBytes } from '../../src/bytes.ts';
import type { Primitives } from '../../src/primitives.ts';
import { referenceBlake2s } from './reference-blake2s.ts';

const text = new TextEncoder();
const hex = (digits: string): Uint8Array => hexToBytes(digits.replace(/\s/g, ''))!;

/** The longest input that is promised to work. */
const MOST = 288;

/** From wireguard-go, device/kdf_test.go. */
const KDF = [
  {
    key: '746573742d6b6579',
    input: '746573742d696e707574',
    t: [
      '6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633',
      'df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a',
      'fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24',
    ],
  },
  {
    key: '776972656775617264',
    input: '776972656775617264',
    t: [
      '491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8',
      '1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f',
      '31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160',
    ],
  },
  {
    key: '',
    input: '',
    t: [
      '8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0',
      '58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e',
      '0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e',
    ],
  },
];

/** HMAC fills a short key up with zeros; ours have 32 bytes. */
const padded = (digits: string): Uint8Array => {
  const key = new Uint8Array(32);
  key.set(hex(digits));
  return key;
};

export function describePrimitives(by: Primitives): void {
  describe('BLAKE2s', () => {
    it('hashes "abc" (RFC 7693 appendix B)', () => {
      const expected = '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982';
      expect(bytesToHex(by.hash(text.encode('abc')))).toBe(expected);
      expect(bytesToHex(by.hash(text.encode('a'), text.encode('bc')))).toBe(expected);
      expect(bytesToHex(referenceBlake2s(text.encode('abc'), 32))).toBe(expected);
    });

    /** § E: hashes of all kinds, hashed together; 16-byte keyed output is the whitepaper's Mac. */
    function selfTest(digest: (input: Uint8Array, size: number, key?: Uint8Array) => Uint8Array) {
      const sequence = (length: number, seed: number): Uint8Array => {
        let a = Math.imul(0xdead4bad, seed);
        let b = 1;
        return Uint8Array.from({ length }, () => {
          const t = (a + b) | 0;
          a = b;
          b = t;
          return t >>> 24;
        });
      };
      const all: number[] = [];
      for (const size of [16, 20, 28, 32]) {
        for (const length of [0, 3, 64, 65, 255, 1024]) {
          const input = sequence(length, length);
          all.push(...digest(input, size), ...digest(input, size, sequence(size, size)));
        }
      }
      return bytesToHex(digest(Uint8Array.from(all), 32));
    }

    const GRAND_HASH = '6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe';

    it('passes the self-test of RFC 7693 appendix E', () => {
      const ours = selfTest((input, size, key) => {
        if (size === 32 && key === undefined && input.length <= MOST) return by.hash(input);
        return blake2s(input, key === undefined ? { dkLen: size } : { dkLen: size, key });
      });
      expect(ours).toBe(GRAND_HASH);
      expect(selfTest(referenceBlake2s)).toBe(GRAND_HASH);
    });

    it('agrees with OpenSSL', () => {
      for (const length of [0, 1, 63, 64, 65, 127, 128, 129, MOST]) {
        const input = Uint8Array.from(randomBytes(length));
        const expected = createHash('blake2s256').update(input).digest('hex');
        expect(bytesToHex(by.hash(input))).toBe(expected);
      }
    });
  });

  describe('Kdf', () => {
    it.each(KDF)('derives what wireguard-go derives from key "$key"', ({ key, input, t }) => {
      expect(by.kdf3(padded(key), hex(input)).map(bytesToHex)).toEqual(t);
      expect(by.kdf2(padded(key), hex(input)).map(bytesToHex)).toEqual(t.slice(0, 2));
      expect(bytesToHex(by.kdf1(padded(key), hex(input)))).toBe(t[0]);
    });
  });

  describe('Aead', () => {
    it('agrees with OpenSSL about the handshake AEAD, nonce 0', () => {
      for (const length of [0, 12, 16, 32]) {
        const key = Uint8Array.from(randomBytes(32));
        const plaintext = Uint8Array.from(randomBytes(length));
        const authenticated = Uint8Array.from(randomBytes(32));
        const cipher = createCipheriv('chacha20-poly1305', key, new Uint8Array(12), {
          authTagLength: 16,
        }).setAAD(authenticated, { plaintextLength: length });
        const expected = Buffer.concat([
          cipher.update(plaintext),
          cipher.final(),
          cipher.getAuthTag(),
        ]);
        const sealed = by.seal(key, plaintext, authenticated);
        expect(bytesToHex(sealed)).toBe(expected.toString('hex'));
        expect(by.open(key, sealed, authenticated)).toEqual(plaintext);
        expect(by.open(key, sealed, authenticated.slice(1))).toBeUndefined();
        expect(by.open(key, sealed.slice(1), authenticated)).toBeUndefined();
      }
    });
  });

  describe('X25519', () => {
    const dh = (scalar: string, point: string): string => {
      const out = new Uint8Array(32);
      expect(by.x25519(out, hex(scalar), hex(point))).toBe(true);
      return bytesToHex(out);
    };

    it('computes the examples of RFC 7748 § 5.2', () => {
      expect(
        dh(
          'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
          'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
        ),
      ).toBe('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552');
      expect(
        dh(
          '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
          'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
        ),
      ).toBe('95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957');
    });

    it('agrees on the keys of RFC 7748 § 6.1', () => {
      const alice = '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a';
      const alicePublic = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
      const bob = '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb';
      const bobPublic = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
      const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
      const out = new Uint8Array(32);
      by.x25519Base(out, hex(alice));
      expect(bytesToHex(out)).toBe(alicePublic);
      by.x25519Base(out, hex(bob));
      expect(bytesToHex(out)).toBe(bobPublic);
      expect(dh(alice, bobPublic)).toBe(shared);
      expect(dh(bob, alicePublic)).toBe(shared);
    });

    it('refuses points of low order: the result would be all zero', () => {
      // https://cr.yp.to/ecdh.html#validate
      for (const point of [
        '0000000000000000000000000000000000000000000000000000000000000000',
        '0100000000000000000000000000000000000000000000000000000000000000',
        'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
        '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
        'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
        'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
        'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      ]) {
        const out = new Uint8Array(32).fill(1);
        expect(by.x25519(out, new Uint8Array(32).fill(7), hex(point))).toBe(false);
        expect(bytesToHex(out)).toBe('00'.repeat(32));
      }
    });
  });
}
