/**
 * Two namespaces joined by a veth pair, a daemon in each, one tunnel between them:
 *
 *      west                                             east
 *   10.77.0.1 wg0 ── left ── eth0 ═══ veth ═══ eth0 ── right ── wg0 10.77.0.2
 *   fd77::1              10.9.0.1           10.9.0.2                fd77::2
 *                        fd09::1            fd09::2
 */
import { Device, type PeerSettings } from './device.ts';
import type { Implementation } from './implementation.ts';
import { Lab } from './lab.ts';
import { connect, type Namespace } from './namespace.ts';

/** Both listen on it. */
export const PORT = 51820;

/** Where the two ends of a tunnel are: what measures it needs no more. */
export interface Ends {
  readonly west: Namespace;
  readonly east: Namespace;
}

interface Addresses {
  readonly left: string;
  readonly right: string;
}

export const INNER: Addresses = { left: '10.77.0.1', right: '10.77.0.2' };
export const INNER6: Addresses = { left: 'fd77::1', right: 'fd77::2' };
export const OUTER: Addresses = { left: '10.9.0.1', right: '10.9.0.2' };
export const OUTER6: Addresses = { left: 'fd09::1', right: 'fd09::2' };

export interface PairSettings {
  readonly left: Implementation;
  readonly right: Implementation;
  /** IP version that carries the tunnel; default 4. */
  readonly underlay?: 4 | 6;
  readonly presharedKey?: string;
  /** Of the tunnel; default 1420. */
  readonly mtu?: number;
  /** Of the veth pair; default 1500. */
  readonly underlayMtu?: number;
  /** Which sides are told where the other one is; default both. */
  readonly endpoints?: 'both' | 'left';
}

export class TunnelPair implements AsyncDisposable {
  readonly lab: Lab;
  readonly left: Device;
  readonly right: Device;
  /** Namespace of `left`. */
  readonly west: Namespace;
  /** Namespace of `right`. */
  readonly east: Namespace;

  private constructor(lab: Lab, left: Device, right: Device) {
    this.lab = lab;
    this.left = left;
    this.right = right;
    this.west = left.namespace;
    this.east = right.namespace;
  }

  static async open(settings: PairSettings): Promise<TunnelPair> {
    const lab = new Lab();
    try {
      const [west, east] = await lab.namespaces('west', 'east');
      const end = (namespace: Namespace, side: 'left' | 'right') => {
        const addresses = [`${OUTER[side]}/24`, `${OUTER6[side]}/64`];
        return { namespace, link: 'eth0', addresses };
      };
      await connect(end(west, 'left'), end(east, 'right'), settings.underlayMtu);
      const left = await Device.start(west, settings.left);
      const right = await Device.start(east, settings.right);
      const pair = new TunnelPair(lab, left, right);
      await pair.configureLeft(settings);
      await pair.configureRight(settings);
      return pair;
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  /** Gives the left side its keys, its peer, its addresses, and brings it up. */
  async configureLeft(settings: PairSettings): Promise<void> {
    const peer = this.#peer(this.right, 'right', settings);
    await this.left.configure(PORT, { ...peer, endpoint: endpoint('right', settings) });
    await this.left.up([`${INNER.left}/24`, `${INNER6.left}/64`], settings.mtu);
  }

  async configureRight(settings: PairSettings): Promise<void> {
    const peer = this.#peer(this.left, 'left', settings);
    const known = settings.endpoints !== 'left';
    const found = known ? { endpoint: endpoint('left', settings) } : {};
    await this.right.configure(PORT, { ...peer, ...found });
    await this.right.up([`${INNER.right}/24`, `${INNER6.right}/64`], settings.mtu);
  }

  #peer(device: Device, side: 'left' | 'right', { presharedKey }: PairSettings): PeerSettings {
    return {
      publicKey: device.keys.publicKey,
      allowedIps: [`${INNER[side]}/32`, `${INNER6[side]}/128`],
      ...(presharedKey ? { presharedKey } : {}),
    };
  }

  /** What the left side knows of the right one. */
  leftPeer() {
    return this.left.peer(this.right.keys.publicKey);
  }

  rightPeer() {
    return this.right.peer(this.left.keys.publicKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lab.close();
  }
}

function endpoint(side: 'left' | 'right', { underlay = 4 }: PairSettings): string {
  return underlay === 6 ? `[${OUTER6[side]}]:${PORT}` : `${OUTER[side]}:${PORT}`;
}
