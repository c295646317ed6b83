/**
 * The handshake's functions by node's own OpenSSL. Arguments and results pass through one area of
 * memory that the addon knows: key and input are wiped by the addon, the output here.
 */
import { HASH_SIZE, type Primitives, TAG_SIZE } from '../primitives.ts';
import type { Addon, NoiseHandle } from './addon.ts';
import { releaseWith } from './bindings.ts';

/** As in native/noise.h: the output, the key or scalar, the input or point. */
const OUTPUT_SIZE = 3 * HASH_SIZE;
const KEY = OUTPUT_SIZE;
const INPUT = KEY + HASH_SIZE;
const AREA_SIZE = INPUT + 288;

const MAC_SIZE = 16;

export class OpensslPrimitives implements Primitives {
  readonly #addon: Addon;
  readonly #noise: NoiseHandle;
  readonly #area = new Uint8Array(AREA_SIZE);

  /** @throws Error if this OpenSSL lacks one of the functions */
  constructor(addon: Addon) {
    this.#addon = addon;
    this.#noise = releaseWith(addon, this, addon.createNoise(this.#area));
  }

  x25519(out: Uint8Array, scalar: Uint8Array, point: Uint8Array): boolean {
    this.#area.set(scalar, KEY);
    this.#area.set(point, INPUT);
    const fine = this.#addon.noiseX25519(this.#noise);
    if (fine) out.set(this.#area.subarray(0, HASH_SIZE));
    else out.fill(0);
    this.#area.fill(0, 0, HASH_SIZE);
    return fine;
  }

  x25519Base(out: Uint8Array, scalar: Uint8Array): void {
    this.#area.set(scalar, KEY);
    this.#succeed(this.#addon.noiseX25519Base(this.#noise));
    out.set(this.#area.subarray(0, HASH_SIZE));
  }

  hash(a: Uint8Array, b?: Uint8Array): Uint8Array {
    this.#area.set(a, INPUT);
    if (b !== undefined) this.#area.set(b, INPUT + a.length);
    this.#succeed(this.#addon.noiseHash(this.#noise, a.length + (b === undefined ? 0 : b.length)));
    return this.#take(0, HASH_SIZE);
  }

  mac(key: Uint8Array, input: Uint8Array): Uint8Array {
    this.#area.set(key, KEY);
    this.#area.set(input, INPUT);
    this.#succeed(this.#addon.noiseMac(this.#noise, input.length));
    return this.#take(0, MAC_SIZE);
  }

  kdf1(key: Uint8Array, input: Uint8Array): Uint8Array {
    this.#derive(key, input, 1);
    return this.#take(0, HASH_SIZE);
  }

  kdf2(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
    this.#derive(key, input, 2);
    return [this.#take(0, HASH_SIZE), this.#take(HASH_SIZE, HASH_SIZE)];
  }

  kdf3(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array, Uint8Array] {
    this.#derive(key, input, 3);
    const first = this.#take(0, HASH_SIZE);
    return [first, this.#take(HASH_SIZE, HASH_SIZE), this.#take(2 * HASH_SIZE, HASH_SIZE)];
  }

  seal(key: Uint8Array, plaintext: Uint8Array, authenticated: Uint8Array): Uint8Array {
    const size = plaintext.length;
    this.#area.set(key, KEY);
    this.#area.set(plaintext, INPUT);
    this.#area.set(authenticated, INPUT + size);
    this.#succeed(this.#addon.noiseSeal(this.#noise, size, authenticated.length));
    return this.#take(0, size + TAG_SIZE);
  }

  open(key: Uint8Array, ciphertext: Uint8Array, authenticated: Uint8Array): Uint8Array | undefined {
    const size = ciphertext.length;
    this.#area.set(key, KEY);
    this.#area.set(ciphertext, INPUT);
    this.#area.set(authenticated, INPUT + size);
    if (this.#addon.noiseOpen(this.#noise, size, authenticated.length)) {
      return this.#take(0, size - TAG_SIZE);
    }
    this.#area.fill(0, 0, OUTPUT_SIZE);
    return undefined;
  }

  #derive(key: Uint8Array, input: Uint8Array, outputs: number): void {
    this.#area.set(key, KEY);
    this.#area.set(input, INPUT);
    this.#succeed(this.#addon.noiseKdf(this.#noise, input.length, outputs));
  }

  /** Sizes are right by the protocol, so that only a broken OpenSSL refuses. */
  #succeed(fine: boolean): void {
    if (!fine) throw new Error('OpenSSL refused a function of the handshake');
  }

  /** A copy of a part of the output, which is wiped. */
  #take(from: number, size: number): Uint8Array {
    const taken = this.#area.slice(from, from + size);
    this.#area.fill(0, from, from + size);
    return taken;
  }
}
