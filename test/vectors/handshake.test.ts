/**
 * A whole handshake with fixed keys, pinned byte for byte, and computed a second time from the
 * whitepaper's formulas (§ 5.4.2 to 5.4.5) with nothing but node:crypto (OpenSSL) and the BLAKE2s of
 * reference-blake2s.ts, which shares no line with the implementation.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  diffieHellman,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bytesToHex } from '../../src/bytes.ts';
import { clamp } from '../../src/keys.ts';
import { CookieChecker, CookieGenerator } from '../../src/wireguard/cookies.ts';
import {
  acceptInitiation,
  consumeResponse,
  createInitiation,
  createResponse,
  deriveKeys,
  Handshake,
  openInitiation,
  verifyInitiation,
} from '../../src/wireguard/handshake.ts';
import { noblePrimitives } from '../../src/wireguard/noble-primitives.ts';
import { encodeTimestamp } from '../../src/wireguard/tai64n.ts';
import { privateKeyObject, publicBytes, publicKeyObject } from '../simulation/fast-curve.ts';
import { referenceBlake2s } from './reference-blake2s.ts';

// ---- The reference: names and order of the whitepaper's table of messages. ----

const utf8 = (s: string) => Buffer.from(s, 'utf8');
const Hash = (...parts: Uint8Array[]) =>
  createHash('blake2s256').update(Buffer.concat(parts)).digest();
const Hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
  createHmac('blake2s256', key).update(Buffer.concat(parts)).digest();
const Mac = (key: Uint8Array, input: Uint8Array) => referenceBlake2s(input, 16, key);

function Kdf(n: number, key: Uint8Array, input: Uint8Array): Buffer[] {
  const t0 = Hmac(key, input);
  const t: Buffer[] = [];
  for (let i = 1; i <= n; i++) t.push(Hmac(t0, t.at(-1) ?? Buffer.alloc(0), Buffer.from([i])));
  return t;
}

function Aead(key: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
  cipher.setAAD(ad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function Unaead(key: Uint8Array, sealed: Uint8Array, ad: Uint8Array): Buffer {
  const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12), {
    authTagLength: 16,
  });
  decipher
    .setAAD(ad, { plaintextLength: sealed.length - 16 })
    .setAuthTag(sealed.subarray(sealed.length - 16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

const DH = (privateKey: Uint8Array, publicKey: Uint8Array) =>
  diffieHellman({
    privateKey: privateKeyObject(privateKey),
    publicKey: publicKeyObject(publicKey),
  });
const Pub = (privateKey: Uint8Array) => publicBytes(privateKeyObject(privateKey));

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

interface Keys {
  staticI: Uint8Array;
  staticR: Uint8Array;
  ephemeralI: Uint8Array;
  ephemeralR: Uint8Array;
  Q: Uint8Array;
  timestamp: Uint8Array;
  I_i: number;
  I_r: number;
}

function reference(k: Keys) {
  const S_i = Pub(k.staticI);
  const S_r = Pub(k.staticR);
  const E_i = Pub(k.ephemeralI);
  const E_r = Pub(k.ephemeralR);
  let C: Buffer = Hash(utf8('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
  let H: Buffer = Hash(C, utf8('WireGuard v1 zx2c4 Jason@zx2c4.com'));
  H = Hash(H, S_r);
  let key: Buffer;
  [C] = Kdf(1, C, E_i) as [Buffer];
  H = Hash(H, E_i);
  [C, key] = Kdf(2, C, DH(k.ephemeralI, S_r)) as [Buffer, Buffer];
  const encryptedStatic = Aead(key, S_i, H);
  H = Hash(H, encryptedStatic);
  [C, key] = Kdf(2, C, DH(k.staticI, S_r)) as [Buffer, Buffer];
  const encryptedTimestamp = Aead(key, k.timestamp, H);
  H = Hash(H, encryptedTimestamp);
  const alpha = Buffer.concat([u32(1), u32(k.I_i), E_i, encryptedStatic, encryptedTimestamp]);
  const initiation = Buffer.concat([
    alpha,
    Mac(Hash(utf8('mac1----'), S_r), alpha),
    Buffer.alloc(16),
  ]);

  [C] = Kdf(1, C, E_r) as [Buffer];
  H = Hash(H, E_r);
  [C] = Kdf(1, C, DH(k.ephemeralR, E_i)) as [Buffer];
  [C] = Kdf(1, C, DH(k.ephemeralR, S_i)) as [Buffer];
  const [chain, t, last] = Kdf(3, C, k.Q) as [Buffer, Buffer, Buffer];
  C = chain;
  H = Hash(H, t);
  const empty = Aead(last, Buffer.alloc(0), H);
  H = Hash(H, empty);
  const beta = Buffer.concat([u32(2), u32(k.I_r), u32(k.I_i), E_r, empty]);
  const response = Buffer.concat([beta, Mac(Hash(utf8('mac1----'), S_i), beta), Buffer.alloc(16)]);
  const [send, receive] = Kdf(2, C, Buffer.alloc(0)) as [Buffer, Buffer];
  return { initiation, response, send, receive };
}

// ---- The implementation, driven step by step. ----

function ours(k: Keys) {
  const initiator = { privateKey: k.staticI, publicKey: Pub(k.staticI) };
  const responder = { privateKey: k.staticR, publicKey: Pub(k.staticR) };
  const handshakeI = new Handshake();
  const handshakeR = new Handshake();
  const staticStatic = new Uint8Array(32);
  noblePrimitives.x25519(staticStatic, k.staticI, responder.publicKey);
  const initiation = createInitiation(
    handshakeI,
    noblePrimitives,
    initiator,
    responder.publicKey,
    staticStatic,
    k.ephemeralI.slice(),
    k.timestamp,
    k.I_i,
  )!;
  new CookieGenerator(responder.publicKey, noblePrimitives).addMacs(initiation, 0);
  expect(
    new CookieChecker(responder.publicKey, () => {}, noblePrimitives).checkMac1(initiation),
  ).toBe(true);

  const opened = openInitiation(initiation, noblePrimitives, responder)!;
  expect(bytesToHex(opened.remoteStatic)).toBe(bytesToHex(initiator.publicKey));
  const verified = verifyInitiation(opened, noblePrimitives, staticStatic)!;
  expect(bytesToHex(verified.timestamp)).toBe(bytesToHex(k.timestamp));
  acceptInitiation(handshakeR, opened.message, verified);
  const ephemeral = k.ephemeralR.slice();
  const response = createResponse(
    handshakeR,
    noblePrimitives,
    initiator.publicKey,
    k.Q,
    ephemeral,
    k.I_r,
  )!;
  expect(bytesToHex(ephemeral)).toBe('00'.repeat(32));
  new CookieGenerator(initiator.publicKey, noblePrimitives).addMacs(response, 0);
  const secrets = [handshakeI.chain, handshakeI.hash, handshakeI.ephemeral];
  expect(consumeResponse(handshakeI, response, noblePrimitives, initiator, k.Q)).toBe(true);
  const i = deriveKeys(handshakeI, noblePrimitives, true);
  const r = deriveKeys(handshakeR, noblePrimitives, false);
  for (const secret of [...secrets, handshakeI.chain, handshakeR.chain, handshakeR.hash]) {
    expect(secret.every((byte) => byte === 0)).toBe(true);
  }
  return { initiation, response, i, r };
}

function keys(seed: number, Q = new Uint8Array(32)): Keys {
  const key = (n: number): Uint8Array => {
    const bytes = Uint8Array.from(Hash(utf8(`key ${n} of ${seed}`)));
    clamp(bytes);
    return bytes;
  };
  return {
    staticI: key(1),
    staticR: key(2),
    ephemeralI: key(3),
    ephemeralR: key(4),
    Q,
    timestamp: encodeTimestamp(1_700_000_000_000),
    I_i: 0x01020304,
    I_r: 0xfffefdfc,
  };
}

describe('the handshake', () => {
  it.each([
    ['without a preshared key', keys(1)],
    ['with a preshared key', keys(2, Uint8Array.from(Hash(utf8('Q'))))],
    ['with other keys', keys(3, new Uint8Array(32).fill(255))],
  ])('is what the formulas say, %s', (_, k) => {
    const expected = reference(k);
    const got = ours(k);
    expect(bytesToHex(got.initiation)).toBe(expected.initiation.toString('hex'));
    expect(bytesToHex(got.response)).toBe(expected.response.toString('hex'));
    expect(bytesToHex(got.i.sealing)).toBe(expected.send.toString('hex'));
    expect(bytesToHex(got.i.opening)).toBe(expected.receive.toString('hex'));
    expect(bytesToHex(got.r.sealing)).toBe(expected.receive.toString('hex'));
    expect(bytesToHex(got.r.opening)).toBe(expected.send.toString('hex'));
  });

  it('is pinned', () => {
    const got = ours(keys(2, Uint8Array.from(Hash(utf8('Q')))));
    expect(bytesToHex(got.initiation)).toMatchInlineSnapshot(
      `"0100000004030201aac24a54f6ff9108239f81cf3fae72801c901d6f65ef8776c3db661553ec8f22db206dee0f74ce67d589f3588375e8ae6688f7a03a7f2336c25b7c596be44ff82ed313e3bcefcb24a22d8d59535e7002ecb0293cd13e7e4b9e5e1bd9631c01595fe8d5aa723e683a5003685c5f60dd096ddcc005252adff4a228d18400000000000000000000000000000000"`,
    );
    expect(bytesToHex(got.response)).toMatchInlineSnapshot(
      `"02000000fcfdfeff04030201f0573c68ad70c48f7351846d0e9cded05fc87251c917dff5c24cfc6df2d52e493f10766f40c19abfbf9fce9334e400fbbfc9419e842aef8ff44494c3a67081ae00000000000000000000000000000000"`,
    );
    expect(bytesToHex(got.i.sealing)).toMatchInlineSnapshot(
      `"37d2cf389e72f8066404626681aa06ce1df67cb1c5dfa14e2224925c27976358"`,
    );
    expect(bytesToHex(got.i.opening)).toMatchInlineSnapshot(
      `"48140caa951bc50a2968f8a863e2e0a54b516f7f516638f6ea8810c341602ed7"`,
    );
  });

  it('hides static key and timestamp as the formulas say', () => {
    const k = keys(5);
    const { initiation } = ours(k);
    const S_r = Pub(k.staticR);
    let C: Buffer = Hash(utf8('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
    let H: Buffer = Hash(Hash(C, utf8('WireGuard v1 zx2c4 Jason@zx2c4.com')), S_r);
    const E_i = initiation.subarray(8, 40);
    C = Kdf(1, C, E_i)[0]!;
    H = Hash(H, E_i);
    const key = Kdf(2, C, DH(k.staticR, E_i))[1]!;
    expect(Unaead(key, initiation.subarray(40, 88), H).toString('hex')).toBe(
      bytesToHex(Pub(k.staticI)),
    );
  });
});

describe('a damaged handshake', () => {
  const k = keys(4);
  const responder = { privateKey: k.staticR, publicKey: Pub(k.staticR) };
  const initiator = { privateKey: k.staticI, publicKey: Pub(k.staticI) };
  const staticStatic = Uint8Array.from(DH(k.staticI, responder.publicKey));

  it('initiation: no changed byte of what is authenticated is accepted', () => {
    const { initiation } = ours(k);
    for (let at = 0; at < 116; at++) {
      // The sender index (4..7) is covered by mac1 only.
      if (at >= 4 && at < 8) continue;
      const damaged = initiation.slice();
      damaged[at]! ^= 1 << (at % 7);
      const opened = openInitiation(damaged, noblePrimitives, responder);
      const verified = opened && verifyInitiation(opened, noblePrimitives, staticStatic);
      expect(verified).toBeUndefined();
    }
  });

  it('response: no changed byte is accepted, and the handshake goes on with the true one', () => {
    const handshake = new Handshake();
    createInitiation(
      handshake,
      noblePrimitives,
      initiator,
      responder.publicKey,
      staticStatic,
      k.ephemeralI.slice(),
      k.timestamp,
      k.I_i,
    );
    const { response } = ours(k);
    for (let at = 12; at < 60; at++) {
      const damaged = response.slice();
      damaged[at]! ^= 1 << (at % 7);
      expect(consumeResponse(handshake, damaged, noblePrimitives, initiator, k.Q)).toBe(false);
    }
    expect(consumeResponse(handshake, response, noblePrimitives, initiator, k.Q)).toBe(true);
    expect(consumeResponse(handshake, response, noblePrimitives, initiator, k.Q)).toBe(false);
  });

  it('low order: neither side accepts an ephemeral key that makes the secret zero', () => {
    const { response } = ours(k);
    // Made by somebody who knows that the secret will be zero: everything else about it is right.
    const evil = createInitiation(
      new Handshake(),
      {
        ...noblePrimitives,
        x25519(out) {
          out.fill(0);
          return true;
        },
        x25519Base(out) {
          out.fill(0);
        },
      },
      initiator,
      responder.publicKey,
      staticStatic,
      k.ephemeralI.slice(),
      k.timestamp,
      k.I_i,
    )!;
    expect(openInitiation(evil, noblePrimitives, responder)).toBeUndefined();
    const handshake = new Handshake();
    const args = [k.ephemeralI.slice(), k.timestamp, k.I_i] as const;
    expect(
      createInitiation(
        handshake,
        noblePrimitives,
        initiator,
        new Uint8Array(32),
        staticStatic,
        ...args,
      ),
    ).toBeUndefined();
    expect(handshake.state).toBe('none');
    createInitiation(
      handshake,
      noblePrimitives,
      initiator,
      responder.publicKey,
      staticStatic,
      k.ephemeralI.slice(),
      k.timestamp,
      k.I_i,
    );
    response.fill(0, 12, 44);
    expect(consumeResponse(handshake, response, noblePrimitives, initiator, k.Q)).toBe(false);
  });
});
