/** The vector AEAD by node's own OpenSSL, in batches through the addon. */
import type { InboundVector, OutboundVector, VectorAead } from '../vector.ts';
import type { Addon, KeysHandle } from './addon.ts';
import { bindInbound, bindOutbound, releaseWith } from './bindings.ts';

export class OpensslAead implements VectorAead {
  readonly name = 'openssl';
  readonly capacity: number;
  readonly #addon: Addon;
  readonly #keys: KeysHandle;

  /** @param evp by OpenSSL's EVP interface, as where node does not export what is underneath */
  constructor(addon: Addon, capacity: number, evp = false) {
    this.#addon = addon;
    this.capacity = capacity;
    this.#keys = releaseWith(addon, this, addon.createKeys(capacity, evp));
  }

  setKeys(slot: number, sealing: Uint8Array, opening: Uint8Array): void {
    if (!this.#addon.setKeys(this.#keys, slot, sealing, opening)) {
      throw new Error(`key slot ${slot} could not be set`);
    }
  }

  clearKeys(slot: number): void {
    this.#addon.clearKeys(this.#keys, slot);
  }

  sealVector(vector: OutboundVector): void {
    const refused = this.#addon.sealVector(
      this.#keys,
      bindOutbound(this.#addon, vector),
      vector.length,
    );
    if (refused > 0) throw new Error(`${refused} runs name no key slot in use`);
  }

  openVector(vector: InboundVector): void {
    this.#addon.openVector(this.#keys, bindInbound(this.#addon, vector), vector.length);
  }
}
