/**
 * Prefixes that a netmap took out of the mesh a moment ago. A connection that began before that crossed
 * the mesh, and its end is told now. Pure.
 */
import type { Family } from '../../routing/address.ts';
import { AllowedIps, NO_VALUE } from '../../routing/allowed-ips.ts';
import { readIpv4 } from '../../routing/packet.ts';
import type { Prefix } from '../../routing/prefix.ts';
import type { Side } from './flow-sides.ts';

/** ms; whoever looks at all connections has seen by then those that still go on. */
const KEPT = 60_000;
/** The oldest goes first. */
const MAX_FORMER = 4_096;

interface Former {
  readonly side: Side;
  readonly bytes: Prefix;
  /** ms since the Unix epoch: when it was not a prefix of the mesh any more. */
  readonly until: number;
}

export class FormerSides {
  /** Only while it holds something, which is seldom: empty it takes 2 MB. */
  #table: AllowedIps | undefined;
  /** By value in the table, the oldest first. */
  readonly #former = new Map<number, Former>();
  readonly #free: number[] = [];

  get isEmpty(): boolean {
    return this.#former.size === 0;
  }

  add(side: Side, bytes: Prefix, until: number): void {
    const value = this.#free.pop() ?? this.#former.size;
    this.#table ??= new AllowedIps();
    const before = this.#table.insert(bytes, value);
    if (before !== NO_VALUE) this.#release(before);
    this.#former.set(value, { side, bytes, until });
    if (this.#former.size > MAX_FORMER) this.#removeOldest();
  }

  /**
   * Whose the address was when a connection began.
   *
   * @param address its first 4 or 16 bytes count
   * @param start ms since the Unix epoch; 0 = longer ago than anybody knows
   */
  of(family: Family, address: Uint8Array, start: number): Side | undefined {
    const table = this.#table;
    if (table === undefined) return undefined;
    const value = family === 4 ? table.lookup4(readIpv4(address, 0)) : table.lookup6(address, 0);
    const former = this.#former.get(value);
    return former !== undefined && start < former.until ? former.side : undefined;
  }

  /** Drops what nobody asks for any more. */
  forget(now: number): void {
    for (const { until } of this.#former.values()) {
      if (now - until <= KEPT) return;
      this.#removeOldest();
    }
  }

  #removeOldest(): void {
    for (const [value, { bytes }] of this.#former) {
      this.#table?.remove(bytes);
      this.#release(value);
      if (this.isEmpty) this.#table = undefined;
      return;
    }
  }

  #release(value: number): void {
    this.#former.delete(value);
    this.#free.push(value);
  }
}
