/**
 * Cryptokey routing (WireGuard whitepaper § 2): which peer an address belongs to, by longest prefix,
 * for both families. A value is whatever small number the caller gives a peer.
 */
import type { Family } from './address.ts';
import { Ipv4Table } from './ipv4-table.ts';
import { Ipv6Table } from './ipv6-table.ts';
import {
  IPV4_DESTINATION,
  IPV4_SOURCE,
  IPV6_DESTINATION,
  IPV6_SOURCE,
  readIpv4,
} from './packet.ts';
import type { Prefix } from './prefix.ts';
import { NO_VALUE } from './prefix-trie.ts';

export { MAX_VALUE } from './prefix-entries.ts';
export { NO_VALUE } from './prefix-trie.ts';

export class AllowedIps {
  readonly #ipv4 = new Ipv4Table();
  readonly #ipv6 = new Ipv6Table();

  /** Prefixes of both families. */
  get size(): number {
    return this.#ipv4.size + this.#ipv6.size;
  }

  /** Bytes of address space set aside, for statistics. */
  get allocatedBytes(): number {
    return this.#ipv4.allocatedBytes + this.#ipv6.allocatedBytes;
  }

  /**
   * Gives the prefix to `value` (0 to MAX_VALUE), taking it away from the one that had it. Returns
   * that one, or NO_VALUE. A RangeError for a value or prefix length out of range.
   */
  insert(prefix: Prefix, value: number): number {
    return this.insertBytes(prefix.family, prefix.address, 0, prefix.length, value);
  }

  /** `insert` without a `Prefix`: the address is the 4 or 16 bytes at `offset`; borrowed. */
  insertBytes(
    family: Family,
    bytes: Uint8Array,
    offset: number,
    length: number,
    value: number,
  ): number {
    return family === 4
      ? this.#ipv4.insert(readIpv4(bytes, offset), length, value)
      : this.#ipv6.insert(bytes, offset, length, value);
  }

  /** Removes the prefix, whoever has it. Returns the value that it had, or NO_VALUE. */
  remove(prefix: Prefix): number {
    return this.removeBytes(prefix.family, prefix.address, 0, prefix.length);
  }

  /** `remove` without a `Prefix`. */
  removeBytes(family: Family, bytes: Uint8Array, offset: number, length: number): number {
    return family === 4
      ? this.#ipv4.remove(readIpv4(bytes, offset), length)
      : this.#ipv6.remove(bytes, offset, length);
  }

  /** The value of exactly this prefix, or NO_VALUE. */
  get(prefix: Prefix): number {
    return this.getBytes(prefix.family, prefix.address, 0, prefix.length);
  }

  /** `get` without a `Prefix`. */
  getBytes(family: Family, bytes: Uint8Array, offset: number, length: number): number {
    return family === 4
      ? this.#ipv4.get(readIpv4(bytes, offset), length)
      : this.#ipv6.get(bytes, offset, length);
  }

  /** Removes all prefixes of a value; returns how many. Takes time for those only. */
  removeValue(value: number): number {
    return this.#ipv4.removeValue(value) + this.#ipv6.removeValue(value);
  }

  /** Removes everything and gives the memory back. */
  clear(): void {
    this.#ipv4.clear();
    this.#ipv6.clear();
  }

  /** A value's prefixes, IPv4 first, each family in order of insertion. */
  prefixesOf(value: number): Prefix[] {
    return [...this.#ipv4.prefixesOf(value), ...this.#ipv6.prefixesOf(value)];
  }

  /**
   * Every prefix with its value: IPv4 first, values in the order in which they got their first prefix,
   * then in order of insertion. The table must not change meanwhile.
   */
  *entries(): Generator<[prefix: Prefix, value: number], void, void> {
    for (const table of [this.#ipv4, this.#ipv6]) {
      for (const value of table.values()) {
        for (const prefix of table.prefixesOf(value)) yield [prefix, value];
      }
    }
  }

  /** The value for an IPv4 address as an unsigned number, or NO_VALUE. Hot path. */
  lookup4(address: number): number {
    return this.#ipv4.lookup(address);
  }

  /** The value for the IPv6 address in the 16 bytes at `offset`, or NO_VALUE. Hot path. */
  lookup6(bytes: Uint8Array, offset: number): number {
    return this.#ipv6.lookup(bytes, offset);
  }

  /** The value for the destination of a packet that `checkPacket` accepted, or NO_VALUE. Hot path. */
  lookupPacketDestination(bytes: Uint8Array, offset: number): number {
    const version = bytes[offset]! >>> 4;
    if (version === 4) return this.#ipv4.lookup(readIpv4(bytes, offset + IPV4_DESTINATION));
    return version === 6 ? this.#ipv6.lookup(bytes, offset + IPV6_DESTINATION) : NO_VALUE;
  }

  /** The value for the source of a packet that `checkPacket` accepted, or NO_VALUE. Hot path. */
  lookupPacketSource(bytes: Uint8Array, offset: number): number {
    const version = bytes[offset]! >>> 4;
    if (version === 4) return this.#ipv4.lookup(readIpv4(bytes, offset + IPV4_SOURCE));
    return version === 6 ? this.#ipv6.lookup(bytes, offset + IPV6_SOURCE) : NO_VALUE;
  }
}
