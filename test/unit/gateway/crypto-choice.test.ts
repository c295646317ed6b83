/** Whose cryptography a data plane takes where OpenSSL's cannot be had. */
import { expect, test } from 'vitest';
import { chooseCryptography } from '../../../src/gateway/data-plane/crypto-choice.ts';
import { type Addon, loadAddon } from '../../../src/native/addon.ts';
import { noblePrimitives } from '../../../src/wireguard/noble-primitives.ts';

const WHY = 'this OpenSSL lacks a function';
/** An addon all of whose functions fail. */
const broken = new Proxy({} as Addon, {
  get: () => () => {
    throw new Error(WHY);
  },
});

test("OpenSSL's, where it agrees with noble", async () => {
  const { makeAead, primitives, refusal } = await chooseCryptography(loadAddon(), 'auto');
  expect(makeAead(1).name).toBe('openssl');
  expect(primitives).not.toBe(noblePrimitives);
  expect(refusal).toBeUndefined();
});

test("noble's in its place, and why", async () => {
  const { makeAead, primitives, refusal } = await chooseCryptography(broken, 'auto');
  expect(makeAead(1).name).toBe('noble');
  expect(primitives).toBe(noblePrimitives);
  expect(refusal).toBe(WHY);
});

test('none in its place for whom asked for it', async () => {
  await expect(chooseCryptography(broken, 'openssl')).rejects.toMatchObject({
    code: 'CRYPTO_UNAVAILABLE',
    message: expect.stringContaining(WHY),
  });
});

test("noble's for whom asked for it, without a look at OpenSSL", async () => {
  const { makeAead, refusal } = await chooseCryptography(broken, 'noble');
  expect(makeAead(1).name).toBe('noble');
  expect(refusal).toBeUndefined();
});
