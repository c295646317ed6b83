/**
 * Which implementation of the AEAD and of the handshake's functions a data plane uses. `auto` takes
 * OpenSSL's after it has agreed with noble, the reference, on everything it will be asked to do.
 */
import { CausewayError } from '../../errors.ts';
import type { Addon } from '../../native/addon.ts';
import { OpensslAead } from '../../native/openssl-aead.ts';
import { OpensslPrimitives } from '../../native/openssl-primitives.ts';
import type { Primitives } from '../../primitives.ts';
import type { VectorAead } from '../../vector.ts';
import { NobleAead } from '../../wireguard/noble-aead.ts';
import { noblePrimitives } from '../../wireguard/noble-primitives.ts';
import { selfTest } from '../../wireguard/self-test.ts';

export type CryptoPreference = 'auto' | 'noble' | 'openssl';

export interface Cryptography {
  readonly aead: VectorAead;
  /** Of the handshake. */
  readonly primitives: Primitives;
  /** Why `auto` did not take OpenSSL. */
  readonly refusal: string | undefined;
}

/**
 * @param slots how many keypairs the AEAD is to hold
 * @throws CausewayError CRYPTO_UNAVAILABLE if `openssl` was asked for and fails the self-test
 */
export function chooseCryptography(
  addon: Addon,
  preference: CryptoPreference,
  slots: number,
): Cryptography {
  const noble = (refusal?: string): Cryptography => {
    return { aead: new NobleAead(slots), primitives: noblePrimitives, refusal };
  };
  if (preference === 'noble') return noble();
  const disagreement = selfTest(
    (n) => new OpensslAead(addon, n),
    () => new OpensslPrimitives(addon),
  );
  if (disagreement === undefined) {
    const primitives = new OpensslPrimitives(addon);
    return { aead: new OpensslAead(addon, slots), primitives, refusal: undefined };
  }
  if (preference === 'auto') return noble(disagreement);
  throw new CausewayError(
    'CRYPTO_UNAVAILABLE',
    `OpenSSL's cryptography cannot be used (${disagreement}): start with \`--crypto noble\`, which is slower but always there.`,
  );
}
