/**
 * By whom a gateway's Internet traffic is to leave: what the operator wishes, without those that are not
 * heard from. Who is silent is passed over until it is heard again, which the gateway tries by itself: no
 * traffic of others goes there meanwhile that could wake it. Pure.
 */
import { type BreakoutWish, isDefaultRoute } from '../../control/breakout.ts';
import type { Netmap, NetmapPeer } from '../../control/netmap.ts';

export class BreakoutChoice {
  wish: BreakoutWish;
  /** Public keys. */
  #silent: ReadonlySet<string> = new Set();

  constructor(wish: BreakoutWish) {
    this.wish = wish;
  }

  isSilent({ publicKey }: Pick<NetmapPeer, 'publicKey'>): boolean {
    return this.#silent.has(publicKey);
  }

  /**
   * Looks who is silent now, of those that are wished for and offer it.
   *
   * @param isSilent by public key
   * @returns whether that are others than before, and whom to wake
   */
  look(
    netmap: Pick<Netmap, 'peers'>,
    isSilent: (publicKey: string) => boolean,
  ): { readonly changed: boolean; readonly wake: readonly NetmapPeer[] } {
    const wake = netmap.peers.filter((peer) => {
      const { name, connector, publicKey, prefixes } = peer;
      const wished = this.wish.connectors.some((one) => one === name || one === connector);
      return wished && isSilent(publicKey) && prefixes.some(({ prefix }) => isDefaultRoute(prefix));
    });
    const before = this.#silent;
    this.#silent = new Set(wake.map(({ publicKey }) => publicKey));
    const same =
      wake.length === before.size && wake.every(({ publicKey }) => before.has(publicKey));
    return { changed: !same, wake };
  }
}
