/**
 * Which of the peers that claim a prefix has it: the one with the lowest priority value, of those the
 * one that comes first in the netmap. Kept from netmap to netmap, so that a change among 100,000
 * prefixes costs as much as what changed. Pure.
 */
import type { NetmapPeer, PeerPrefix } from '../../control/netmap.ts';
import { differing } from '../../routing/lists.ts';

/** A replica, with its peer as it is now. */
interface Holder {
  peer: NetmapPeer;
}

interface Claim {
  readonly holder: Holder;
  readonly priority: number;
}

export class PrefixOwners {
  /** By the prefix's text; a list where several claim it. */
  readonly #claims = new Map<string, Claim | Claim[]>();
  /** Those that serve, by replica. */
  readonly #holders = new Map<string, Holder>();

  /**
   * Takes over the peers of another netmap, in order of their replica ids. A peer that is the same
   * object as before is unchanged.
   *
   * @returns those that may have gained or lost a prefix, new ones included
   */
  update(peers: readonly NetmapPeer[]): Set<NetmapPeer> {
    const affected = new Set<NetmapPeer>();
    const serving = peers.filter((peer) => peer.serving);
    const next = new Set<string>(serving.map(({ replica }) => replica));
    for (const [replica, holder] of this.#holders) {
      if (next.has(replica)) continue;
      affected.delete(holder.peer);
      this.#withdraw(holder, holder.peer.prefixes, affected);
      this.#holders.delete(replica);
    }
    for (const peer of serving) {
      const holder = this.#holders.get(peer.replica) ?? { peer: { ...peer, prefixes: [] } };
      if (holder.peer === peer) continue;
      affected.delete(holder.peer);
      const { before, after } = differing(holder.peer.prefixes, peer.prefixes, isSame);
      holder.peer = peer;
      this.#holders.set(peer.replica, holder);
      this.#withdraw(holder, before, affected);
      this.#claim(holder, after, affected);
      affected.add(peer);
    }
    return affected;
  }

  ownerOf(prefix: string): NetmapPeer | undefined {
    const claim = this.#claims.get(prefix);
    if (claim === undefined) return undefined;
    if (!Array.isArray(claim)) return claim.holder.peer;
    return claim.reduce((best, other) => (isBetter(other, best) ? other : best)).holder.peer;
  }

  #claim(holder: Holder, prefixes: readonly PeerPrefix[], affected: Set<NetmapPeer>): void {
    for (const { prefix, priority } of prefixes) {
      const claim = { holder, priority };
      const there = this.#claims.get(prefix);
      if (there === undefined) {
        this.#claims.set(prefix, claim);
        continue;
      }
      const all = Array.isArray(there) ? there : [there];
      for (const other of all) affected.add(other.holder.peer);
      this.#claims.set(prefix, [...all, claim]);
    }
  }

  #withdraw(holder: Holder, prefixes: readonly PeerPrefix[], affected: Set<NetmapPeer>): void {
    for (const { prefix } of prefixes) {
      const there = this.#claims.get(prefix);
      if (!Array.isArray(there)) {
        this.#claims.delete(prefix);
        continue;
      }
      const rest = there.filter((claim) => claim.holder !== holder);
      for (const other of rest) affected.add(other.holder.peer);
      this.#claims.set(prefix, rest.length === 1 ? rest[0]! : rest);
    }
  }
}

function isBetter(a: Claim, b: Claim): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  return a.holder.peer.replica < b.holder.peer.replica;
}

function isSame(a: PeerPrefix, b: PeerPrefix): boolean {
  return a === b || (a.prefix === b.prefix && a.priority === b.priority);
}
