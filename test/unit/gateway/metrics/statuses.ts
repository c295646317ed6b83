/** Statuses of gateways for tests of the metrics. */
import type { MeshPeer, MeshStatus } from '../../../../src/gateway/mesh/mesh-status.ts';

export const NOW = Date.parse('2026-03-01T12:00:00Z');

export function ago(seconds: number): string {
  return new Date(NOW - seconds * 1_000).toISOString();
}

export function peer(n: number, more: Partial<MeshPeer> = {}): MeshPeer {
  return {
    connector: `site-${n}`,
    replica: `replica-${n}`,
    publicKey: `key-${n}`,
    serving: true,
    mesh: { ipv4: `100.96.0.${n}`, ipv6: `fd00::${n}` },
    path: { kind: 'relayed', edge: 'one', endpoint: '192.0.2.1:51820' },
    rtt: null,
    mtu: null,
    prefixes: [],
    lastHandshake: ago(10),
    rxBytes: n * 1_000,
    txBytes: n * 10,
    ...more,
  } as MeshPeer;
}

export function status(more: Partial<MeshStatus> = {}): MeshStatus {
  return {
    interface: 'causeway0',
    pid: 7,
    since: ago(3_600),
    version: '1.2.3',
    connector: { id: 'c', name: 'home "quoted\\"\n', vnet: 'default' },
    replica: { id: 'replica-0', relayId: 1, serving: true },
    mesh: { ipv4: '100.96.0.1', ipv6: 'fd00::1' },
    publicKey: 'key',
    listenPort: 4_000,
    mtu: 1_280,
    crypto: 'openssl',
    offloads: [],
    stream: { state: 'open', since: ago(60), url: 'https://edge', error: null },
    netmap: { revision: 42, source: 'edge', refused: 1 },
    edges: [],
    peers: [],
    routes: [],
    drops: [],
    policy: null,
    breakout: null,
    findings: [],
    flows: { log: null, fault: null, oneWay: [] },
    diagnosis: null,
    problems: [],
    ...more,
  } as MeshStatus;
}
