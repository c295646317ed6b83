/**
 * A small number for each of some 24-bit relay ids: a table of two levels in plain memory, 16 KiB for
 * each block of 4,096 ids in use. Registries give relay ids out in sequence, so that is few blocks.
 */
import { MAX_RELAY_ID } from '../model.ts';

const BLOCK_BITS = 12;
const BLOCK_SIZE = 1 << BLOCK_BITS;
const EMPTY = new Int32Array(BLOCK_SIZE);

export class RelayIdTable {
  readonly #blocks: Int32Array[] = new Array((MAX_RELAY_ID + 1) >>> BLOCK_BITS).fill(EMPTY);

  /** The number, or 0 if the id has none. */
  get(relayId: number): number {
    return this.#blocks[relayId >>> BLOCK_BITS]![relayId & (BLOCK_SIZE - 1)]!;
  }

  /** 0 takes the number away. */
  set(relayId: number, value: number): void {
    if (!(relayId > 0 && relayId <= MAX_RELAY_ID)) throw new RangeError(`no relay id: ${relayId}`);
    const block = relayId >>> BLOCK_BITS;
    if (this.#blocks[block] === EMPTY) {
      if (value === 0) return;
      this.#blocks[block] = new Int32Array(BLOCK_SIZE);
    }
    this.#blocks[block]![relayId & (BLOCK_SIZE - 1)] = value;
  }
}
