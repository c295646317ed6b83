/**
 * Which implementation of the AEAD and of the handshake's functions a data plane uses. `auto` takes
 * OpenSSL's after it has agreed with noble, the reference, on everything it will be asked to do. noble
 * itself is loaded where it is used: it takes 2 MB and a good part of the start.
 */
import { CausewayError } from '../../errors.ts';
import type { Addon } from '../../native/addon.ts';
import { OpensslAead } from '../../native/openssl-aead.ts';
import { OpensslPrimitives } from '../../native/openssl-primitives.ts';
import type { Primitives } from '../../primitives.ts';
import type { VectorAead } from '../../vector.ts';
import { selfTest } from '../../wireguard/self-test.ts';

export type CryptoPreference = 'auto' | 'noble' | 'openssl';

export interface Cryptography {
  /** @param slots how many keypairs it is to hold */
  readonly makeAead: (slots: number) => VectorAead;
  /** Of the handshake. */
  readonly primitives: Primitives;
  /** Why `auto` did not take OpenSSL. */
  readonly refusal: string | undefined;
}

/** @throws CausewayError CRYPTO_UNAVAILABLE if `openssl` was asked for and fails the self-test */
export async function chooseCryptography(
  addon: Addon,
  preference: CryptoPreference,
): Promise<Cryptography> {
  if (preference === 'noble') return await noble();
  const makeAead = (slots: number) => new OpensslAead(addon, slots);
  const makePrimitives = () => new OpensslPrimitives(addon);
  const disagreement = selfTest(makeAead, makePrimitives);
  if (disagreement === undefined) {
    return { makeAead, primitives: makePrimitives(), refusal: undefined };
  }
  if (preference === 'auto') return await noble(disagreement);
  throw new CausewayError(
    'CRYPTO_UNAVAILABLE',
    `OpenSSL's cryptography cannot be used (${disagreement}): start with \`--crypto noble\`, which is slower but always there.`,
  );
}

async function noble(refusal?: string): Promise<Cryptography> {
  const { NobleAead } = await import('../../wireguard/noble-aead.ts');
  const { noblePrimitives } = await import('../../wireguard/noble-primitives.ts');
  return { makeAead: (slots) => new NobleAead(slots), primitives: noblePrimitives, refusal };
}
