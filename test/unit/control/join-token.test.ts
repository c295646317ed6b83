/** Join tokens: whole, damaged in every way, of another version; and secrets. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import {
  decodeJoinToken,
  encodeJoinToken,
  JOIN_TOKEN_PREFIX,
  type JoinToken,
} from '../../../src/control/join-token.ts';
import type { ConnectorId } from '../../../src/control/model.ts';
import {
  hashSecret,
  isSecret,
  joinSecretText,
  joinSecretVersion,
} from '../../../src/control/secrets.ts';

// Many runs each; the machine may have other work.
vi.setConfig({ testTimeout: 60_000 });

const uuid = fc.uuid().map((id) => id as ConnectorId);
const bytes = (size: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: size, maxLength: size });
const url = fc
  .tuple(fc.domain(), fc.integer({ min: 1, max: 65_535 }))
  .map(([host, port]) => `https://${host}:${port}`)
  .filter((text) => text.length <= 255);
const token: fc.Arbitrary<JoinToken> = fc.record({
  connector: uuid,
  secret: fc
    .tuple(fc.integer({ min: 1, max: 0xffff_ffff }), bytes(24))
    .map(([version, random]) => joinSecretText(version, random)),
  urls: fc.array(url, { minLength: 1, maxLength: 4 }),
  tlsPin: fc.option(bytes(32).map((pin) => Buffer.from(pin).toString('hex'))),
  edgePublicKey: bytes(32).map((key) => Buffer.from(key).toString('base64')),
});

const damaged = { ok: false, code: 'JOIN_TOKEN_DAMAGED' };

describe('a join token', () => {
  test('comes back as it was, also with white space around it', () => {
    fc.assert(
      fc.property(token, (value) => {
        const text = encodeJoinToken(value);
        expect(text).toMatch(/^cwj1_[A-Za-z0-9_-]+$/);
        expect(decodeJoinToken(`\n  ${text}\r\n`)).toEqual({ ok: true, value });
      }),
    );
  });

  test('is damaged by the change or loss of any character', () => {
    const position = fc.nat();
    fc.assert(
      fc.property(token, position, fc.constantFrom(...'Aa0_-'), (value, at, character) => {
        const text = encodeJoinToken(value);
        const i = at % text.length;
        const changed = text.slice(0, i) + character + text.slice(i + 1);
        if (changed !== text) expect(decodeJoinToken(changed)).toMatchObject(damaged);
        expect(decodeJoinToken(text.slice(0, i) + text.slice(i + 1))).toMatchObject(damaged);
        expect(decodeJoinToken(text.slice(0, i))).toMatchObject(damaged);
        expect(decodeJoinToken(text + character)).toMatchObject(damaged);
      }),
    );
  });

  test('of another version says so', () => {
    const text = encodeJoinToken(fc.sample(token, 1)[0]!).replace('cwj1_', 'cwj2_');
    const decoded = decodeJoinToken(text);
    expect(decoded).toMatchObject({ ...damaged, message: expect.stringContaining('version') });
  });

  test('any text, and any bytes under a right checksum: an answer, never an exception', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeJoinToken(text).ok).toBe(false);
        expect(decodeJoinToken(JOIN_TOKEN_PREFIX + text).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 60, maxLength: 200 }), (body) => {
        if (body[0]! % 4 !== 0) body[0] = body[0]! & 1;
        const checksum = createHash('sha256').update(body).digest().subarray(0, 4);
        const text = Buffer.concat([body, checksum]).toString('base64url');
        const decoded = decodeJoinToken(JOIN_TOKEN_PREFIX + text);
        if (!decoded.ok) expect(decoded).toMatchObject(damaged);
        else expect(encodeJoinToken(decoded.value)).toBe(JOIN_TOKEN_PREFIX + text);
      }),
      { numRuns: 2_000 },
    );
    expect(decodeJoinToken(JOIN_TOKEN_PREFIX + 'A'.repeat(100_000))).toMatchObject(damaged);
  });

  test('no token is made of what is not valid', () => {
    const valid = fc.sample(token, 1)[0]!;
    for (const wrong of [
      { connector: 'x' as ConnectorId },
      { edgePublicKey: 'x' },
      { urls: [] },
      { urls: Array(5).fill('https://a') },
      { tlsPin: 'zz' },
    ]) {
      expect(() => encodeJoinToken({ ...valid, ...wrong })).toThrow(RangeError);
    }
  });
});

test('a secret is known by its hash only', () => {
  const secret = joinSecretText(3, new Uint8Array(24).fill(7));
  expect(secret).toBe('3.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH');
  expect(joinSecretVersion(secret)).toBe(3);
  expect(joinSecretVersion('03.BwcH')).toBeUndefined();
  expect(hashSecret(secret)).toBe(createHash('sha256').update(secret).digest('hex'));
  expect(isSecret(secret, hashSecret(secret))).toBe(true);
  expect(isSecret(`${secret} `, hashSecret(secret))).toBe(false);
  expect(isSecret(secret, 'no hash')).toBe(false);
});
