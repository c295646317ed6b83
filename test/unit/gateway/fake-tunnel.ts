/**
 * A tunnel without packets: the real configuration model behind the `Tunnel` interface. Public keys
 * are real ones, so that `wg` shows the same.
 */
import { x25519 } from '@noble/curves/ed25519.js';
import { bytesToHex } from '../../../src/bytes.ts';
import type { DropReason } from '../../../src/drops.ts';
import type { CaptureOptions, TunnelCapture } from '../../../src/gateway/capture/tunnel-capture.ts';
import {
  type PeerStatistics,
  type Tunnel,
  type TunnelEnd,
  TunnelError,
  type TunnelSnapshot,
} from '../../../src/gateway/tunnel.ts';
import { TunnelConfiguration } from '../../../src/gateway/tunnel-configuration.ts';
import type { DeviceChange } from '../../../src/wireguard/configuration.ts';

export class FakeTunnel implements Tunnel {
  readonly interfaceName: string;
  readonly closed: Promise<TunnelEnd>;
  readonly configuration = new TunnelConfiguration((key) => x25519.getPublicKey(key));
  /** By hexadecimal public key. */
  readonly statistics = new Map<string, PeerStatistics>();
  readonly changes: DeviceChange[] = [];
  readonly drops: [DropReason, number][] = [];
  /** Ports that are taken by somebody else. */
  readonly busyPorts = new Set<number>();
  closeCalls = 0;
  #listenPort = 0;
  readonly #end: (end: TunnelEnd) => void;

  constructor(interfaceName: string) {
    this.interfaceName = interfaceName;
    const { promise, resolve } = Promise.withResolvers<TunnelEnd>();
    this.closed = promise;
    this.#end = resolve;
  }

  async apply(change: DeviceChange): Promise<void> {
    this.configuration.check(change);
    if (change.listenPort !== undefined) {
      if (this.busyPorts.has(change.listenPort)) throw new TunnelError('EADDRINUSE', 'port in use');
      this.#listenPort = change.listenPort;
    }
    this.configuration.apply(change);
    this.changes.push(change);
  }

  snapshot(): TunnelSnapshot {
    return this.configuration.snapshot(
      this.interfaceName,
      { listenPort: this.#listenPort, drops: this.drops, crypto: 'noble', offloads: ['tso'] },
      (key) => this.statistics.get(bytesToHex(key)),
    );
  }

  async capture(_options: CaptureOptions): Promise<TunnelCapture> {
    throw new Error('this tunnel has no packets');
  }

  watchPaths(): void {}

  /** As if somebody ran `ip link delete`. */
  vanish(): void {
    this.#end({ cause: 'interface-removed' });
  }

  async close(): Promise<void> {
    this.closeCalls++;
    this.#end({ cause: 'closed' });
  }
}
