/**
 * Which of the peers that claim a prefix has it: the one with the lowest priority value, of those the
 * one that comes first in the netmap. Kept from netmap to netmap, so that a change among 100,000
 * prefixes costs as much as what changed. Pure.
 */
import type { NetmapPeer } from '../../control/netmap.ts';

interface Claim {
  readonly peer: NetmapPeer;
  readonly priority: number;
}

export class PrefixOwners {
  /** By the prefix's text; a list where several claim it. */
  readonly #claims = new Map<string, Claim | Claim[]>();
  /** Those that serve, by replica. */
  #peers = new Map<string, NetmapPeer>();

  /**
   * Takes over the peers of another netmap, in order of their replica ids. A peer that is the same
   * object as before is unchanged.
   *
   * @returns those that may have gained or lost a prefix, new ones included
   */
  update(peers: readonly NetmapPeer[]): Set<NetmapPeer> {
    const affected = new Set<NetmapPeer>();
    const next = new Map<string, NetmapPeer>();
    const fresh: NetmapPeer[] = [];
    for (const peer of peers) {
      if (!peer.serving) continue;
      next.set(peer.replica, peer);
      if (this.#peers.get(peer.replica) !== peer) fresh.push(peer);
    }
    for (const [replica, peer] of this.#peers) {
      if (next.get(replica) !== peer) this.#withdraw(peer, affected);
    }
    for (const peer of fresh) {
      affected.add(peer);
      this.#claim(peer, affected);
    }
    this.#peers = next;
    return affected;
  }

  ownerOf(prefix: string): NetmapPeer | undefined {
    const claim = this.#claims.get(prefix);
    if (claim === undefined) return undefined;
    if (!Array.isArray(claim)) return claim.peer;
    return claim.reduce((best, other) => (isBetter(other, best) ? other : best)).peer;
  }

  #claim(peer: NetmapPeer, affected: Set<NetmapPeer>): void {
    for (const { prefix, priority } of peer.prefixes) {
      const claim = { peer, priority };
      const there = this.#claims.get(prefix);
      if (there === undefined) {
        this.#claims.set(prefix, claim);
        continue;
      }
      const all = Array.isArray(there) ? there : [there];
      for (const other of all) affected.add(other.peer);
      this.#claims.set(prefix, [...all, claim]);
    }
  }

  #withdraw(peer: NetmapPeer, affected: Set<NetmapPeer>): void {
    affected.delete(peer);
    for (const { prefix } of peer.prefixes) {
      const there = this.#claims.get(prefix);
      if (!Array.isArray(there)) {
        this.#claims.delete(prefix);
        continue;
      }
      const rest = there.filter((claim) => claim.peer !== peer);
      for (const other of rest) affected.add(other.peer);
      this.#claims.set(prefix, rest.length === 1 ? rest[0]! : rest);
    }
  }
}

function isBetter(a: Claim, b: Claim): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  return a.peer.replica < b.peer.replica;
}
