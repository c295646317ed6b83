/**
 * Prefixes packed into the records of `PeerChange.allowedIps`, and back into text. A configuration
 * may carry a hundred thousand of them, so they are bytes in one array and not objects.
 */
import { formatAddress } from '../routing/address.ts';
import type { Prefix } from '../routing/prefix.ts';
import { ALLOWED_IP_RECORD } from '../wireguard/configuration.ts';

/** An array of records that grows by doubling. */
export class AllowedIpRecords {
  #bytes = new Uint8Array(8 * ALLOWED_IP_RECORD);
  #used = 0;

  get count(): number {
    return this.#used / ALLOWED_IP_RECORD;
  }

  add(prefix: Prefix): void {
    this.#push(0, prefix);
  }

  /** Records that the prefix is to be taken from the peer, if the peer has it. */
  remove(prefix: Prefix): void {
    this.#push(1, prefix);
  }

  clear(): void {
    this.#used = 0;
  }

  /** A copy of the records so far. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#used);
  }

  #push(operation: 0 | 1, prefix: Prefix): void {
    if (this.#used === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    const at = this.#used;
    this.#bytes[at] = operation;
    this.#bytes[at + 1] = prefix.family;
    this.#bytes[at + 2] = prefix.length;
    this.#bytes[at + 3] = 0;
    this.#bytes.fill(0, at + 4, at + ALLOWED_IP_RECORD);
    this.#bytes.set(prefix.address, at + 4);
    this.#used = at + ALLOWED_IP_RECORD;
  }
}

/** Packs a list, each as "add". */
export function packAllowedIps(prefixes: Iterable<Prefix>): Uint8Array {
  const records = new AllowedIpRecords();
  for (const prefix of prefixes) records.add(prefix);
  return records.bytes();
}

/** The prefixes of records of operation "add", without copying their addresses. */
export function* unpackAllowedIps(records: Uint8Array): Generator<Prefix> {
  for (let at = 0; at < records.length; at += ALLOWED_IP_RECORD) {
    const family = records[at + 1] === 4 ? 4 : 6;
    const address = records.subarray(at + 4, at + (family === 4 ? 8 : 20));
    yield { family, address, length: records[at + 2]! };
  }
}

/** The prefix of the record at byte `at`, as text. */
export function formatAllowedIp(records: Uint8Array, at: number): string {
  const end = records[at + 1] === 4 ? at + 8 : at + 20;
  return `${formatAddress(records.subarray(at + 4, end))}/${records[at + 2]}`;
}
