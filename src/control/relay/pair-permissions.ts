/**
 * Which pairs of replicas the policy can ever allow anything between. Replicas of one network are in
 * classes, and a class has a row of bits; a replica without a class is not restricted.
 */

export interface PairClasses {
  readonly classes: readonly (readonly [relayId: number, at: number])[];
  /** By class: the classes that it may exchange messages with, as bits. */
  readonly rows: readonly Uint32Array[];
}

export class PairPermissions {
  /** By slot: rows of its network; undefined = not restricted. */
  readonly #rows: (readonly Uint32Array[] | undefined)[];
  /** By slot. */
  readonly #classes: Int32Array;
  /** Slots by network. */
  readonly #members = new Map<string, readonly number[]>();

  constructor(capacity: number) {
    this.#rows = Array.from({ length: capacity }, () => undefined);
    this.#classes = new Int32Array(capacity);
  }

  /** Replaces what is said of a network. `slotOf` may give -1 for who is not admitted. */
  set(vnet: string, pairs: PairClasses | undefined, slotOf: (relayId: number) => number): void {
    for (const slot of this.#members.get(vnet) ?? []) this.forget(slot);
    this.#members.delete(vnet);
    if (pairs === undefined) return;
    const members: number[] = [];
    for (const [relayId, at] of pairs.classes) {
      const slot = slotOf(relayId);
      if (slot < 0 || pairs.rows[at] === undefined) continue;
      this.#rows[slot] = pairs.rows;
      this.#classes[slot] = at;
      members.push(slot);
    }
    this.#members.set(vnet, members);
  }

  /** The slot is another replica's from now on. */
  forget(slot: number): void {
    this.#rows[slot] = undefined;
  }

  /** Hot path. Both are of one network. */
  mayExchange(slot: number, other: number): boolean {
    const rows = this.#rows[slot];
    if (rows === undefined || this.#rows[other] !== rows) return true;
    const at = this.#classes[other]!;
    return ((rows[this.#classes[slot]!]![at >>> 5]! >>> (at & 31)) & 1) === 1;
  }
}
