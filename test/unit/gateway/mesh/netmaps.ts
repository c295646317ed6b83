/** Netmaps for tests: replica 1 of connector 1, peers and routes by number. */
import type { Netmap, NetmapEdge, NetmapPeer } from '../../../../src/control/netmap.ts';
import { netmapSchema } from '../../../../src/control/netmap.ts';
import { keyToBase64 } from '../../../../src/keys.ts';

export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

export function keyText(n: number): string {
  const key = new Uint8Array(32).fill(1);
  new DataView(key.buffer).setUint32(0, n);
  return keyToBase64(key);
}

export interface PeerPlan {
  readonly n: number;
  readonly serving?: boolean;
  readonly prefixes?: readonly (readonly [prefix: string, priority?: number])[];
}

export function peer({ n, serving = true, prefixes = [] }: PeerPlan): NetmapPeer {
  return {
    replica: uuid(n),
    connector: uuid(1_000 + n),
    name: `site-${n}`,
    publicKey: keyText(n),
    relayId: n,
    mesh: { ipv4: `100.96.0.${n}/32`, ipv6: `fd00::${n.toString(16)}/128` },
    serving,
    prefixes: prefixes
      .map(([prefix, priority = 100]) => ({ prefix, priority }))
      .sort((a, b) => (a.prefix < b.prefix ? -1 : 1)),
  } as NetmapPeer;
}

export function edge(n: number, ...endpoints: string[]): NetmapEdge {
  return {
    id: uuid(2_000 + n),
    name: `edge-${n}`,
    publicKey: keyText(2_000 + n),
    relayId: 2_000 + n,
    endpoints,
    urls: [`https://edge-${n}.example:8443`],
    tlsPin: null,
  } as NetmapEdge;
}

export interface NetmapPlan {
  readonly revision?: number;
  readonly peers?: readonly PeerPlan[];
  readonly edges?: readonly NetmapEdge[];
  readonly own?: readonly (readonly [prefix: string, approved: boolean, priority?: number])[];
}

export function netmap({ revision = 1, peers = [], edges, own = [] }: NetmapPlan): Netmap {
  return netmapSchema.parse({
    format: 1,
    revision,
    self: {
      replica: uuid(1),
      connector: uuid(1_001),
      name: 'home',
      vnet: uuid(9_999),
      vnetName: 'default',
      relayId: 1,
      mesh: { ipv4: '100.96.0.1/32', ipv6: 'fd00::1/128' },
      meshRanges: { ipv4: '100.96.0.0/12', ipv6: 'fd00::/48' },
      serving: true,
      routes: own.map(([prefix, approved, priority = 100], i) => ({
        id: uuid(3_000 + i),
        prefix,
        priority,
        comment: '',
        source: 'advertised',
        approved,
      })),
    },
    peers: [...peers].sort((a, b) => a.n - b.n).map(peer),
    edges: edges ?? [edge(1, '192.0.2.1:2408')],
  });
}
