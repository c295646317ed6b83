/**
 * What the benchmarks of the data plane run on: two namespaces joined by a veth pair, a daemon in
 * each, and the load inside the same namespaces.
 *
 *      left                                             right
 *   10.77.0.1 wg0 ── daemon ── eth0 ═ veth ═ eth0 ── daemon ── wg0 10.77.0.2
 *                          10.9.0.1      10.9.0.2
 */
import { Device } from '../lab/device.ts';
import type { Implementation } from '../lab/implementation.ts';
import { Lab } from '../lab/lab.ts';
import { connect, type Namespace } from '../lab/namespace.ts';

export const PORT = 51820;
export const INNER = { left: '10.77.0.1', right: '10.77.0.2' } as const;
export const OUTER = { left: '10.9.0.1', right: '10.9.0.2' } as const;

export class SitePair implements AsyncDisposable {
  readonly lab: Lab;
  readonly left: Device;
  readonly right: Device;
  readonly implementation: Implementation;

  private constructor(lab: Lab, left: Device, right: Device, implementation: Implementation) {
    this.lab = lab;
    this.left = left;
    this.right = right;
    this.implementation = implementation;
  }

  /** Brings both sides up and has them shake hands. */
  static async open(implementation: Implementation, mtu = 1420): Promise<SitePair> {
    const lab = new Lab();
    try {
      const [west, east] = await lab.namespaces('left', 'right');
      await connect(
        { namespace: west, link: 'eth0', addresses: [`${OUTER.left}/24`] },
        { namespace: east, link: 'eth0', addresses: [`${OUTER.right}/24`] },
      );
      const left = await Device.start(west, implementation);
      const right = await Device.start(east, implementation);
      await left.configure(PORT, {
        publicKey: right.keys.publicKey,
        allowedIps: [`${INNER.right}/32`],
        endpoint: `${OUTER.right}:${PORT}`,
      });
      await right.configure(PORT, {
        publicKey: left.keys.publicKey,
        allowedIps: [`${INNER.left}/32`],
        endpoint: `${OUTER.left}:${PORT}`,
      });
      await left.up([`${INNER.left}/24`], mtu);
      await right.up([`${INNER.right}/24`], mtu);
      await west.run(['ping', '-c', '1', '-w', '5', INNER.right]);
      return new SitePair(lab, left, right, implementation);
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  get west(): Namespace {
    return this.left.namespace;
  }

  get east(): Namespace {
    return this.right.namespace;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lab.close();
  }
}
