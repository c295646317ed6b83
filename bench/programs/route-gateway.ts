/**
 * A gateway's data plane, kernel side and netmap in force, in this process, without an edge: netmaps are
 * made here and go the way of those from a stream, from their text on. Told by its standard input:
 *
 *   start KEY ENDPOINT   answers `ready PUBLICKEY`; one peer of stock WireGuard, with 10.77.0.2
 *   install              the netmap with all routes:  `installed MS`
 *   one                  a delta with one route more: `one MS`
 *   remove               the netmap without routes:   `removed MS`
 */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { NO_BREAKOUT } from '../../src/control/breakout.ts';
import type { Netmap, NetmapPeer } from '../../src/control/netmap.ts';
import { applyDelta } from '../../src/control/netmap-delta.ts';
import { decodeDelta, decodeNetmap } from '../../src/control/netmap-text.ts';
import { packAllowedIps } from '../../src/gateway/allowed-ip-records.ts';
import { parseEndpoint } from '../../src/gateway/endpoint-text.ts';
import { yieldToPackets } from '../../src/gateway/mesh/control-priority.ts';
import { EdgeEndpoints } from '../../src/gateway/mesh/edge-endpoints.ts';
import { MeshKernel } from '../../src/gateway/mesh/mesh-kernel.ts';
import { NetmapInForce } from '../../src/gateway/mesh/netmap-in-force.ts';
import { openStateDirectory } from '../../src/gateway/mesh/state-directory.ts';
import { Turns } from '../../src/gateway/mesh/turns.ts';
import { openTunnel } from '../../src/gateway/open-tunnel.ts';
import { keyFromBase64, keyToBase64 } from '../../src/keys.ts';
import { parsePrefix } from '../../src/routing/prefix.ts';

const CONNECTORS = 50;
const ROUTES_OF_ONE = 2_000;
const MTU = 1_420;

const log = pino({ level: process.env.LOG_LEVEL || 'warn' }, pino.destination(2));
const interfaceName = 'wg0';
const tunnel = await openTunnel({ interfaceName, mtu: MTU, crypto: 'auto', log });
yieldToPackets(log);
const kernel = await MeshKernel.open({
  ...{ interfaceName, mtu: MTU, forwarding: false, log },
  onMark: (fwmark) => tunnel.apply({ fwmark, peers: [] }),
});
const state = await openStateDirectory(process.argv[2]!);
const turns = new Turns();
const privateKey = new Uint8Array(randomBytes(32));
const inForce = new NetmapInForce({
  ...{ tunnel, kernel, state, turns, log, mtu: MTU, breakout: NO_BREAKOUT, answers: true },
  endpoints: new EdgeEndpoints(),
  device: { privateKey, listenPort: 51_820, fwmark: kernel.mark },
  onEdges: async () => {},
});

const id = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

/** Every fourth route is one of IPv6. */
function prefixOf(n: number): string {
  const [high, low] = [(n >> 8) & 255, n & 255];
  if (n % 4 === 0) return `fd0${1 + (n >> 16)}:${(n & 0xffff || 1).toString(16)}::/48`;
  return `${20 + (n >> 16)}.${high}.${low}.0/24`;
}

function peerOf(n: number, routes: number): NetmapPeer {
  const texts = Array.from({ length: routes }, (_, k) => prefixOf(n * ROUTES_OF_ONE + k + 1));
  return {
    ...{ replica: id(1_000 + n), connector: id(2_000 + n), name: `site-${n}` },
    publicKey: randomBytes(32).fill(0, 31).toString('base64'),
    relayId: 1_000 + n,
    mesh: { ipv4: `10.77.1.${n + 1}/32`, ipv6: `fd77::1:${(n + 1).toString(16)}/128` },
    serving: true,
    prefixes: texts.sort().map((prefix) => ({ prefix, priority: 100 })),
  } as NetmapPeer;
}

let revision = 1;
function netmapOf(peers: readonly NetmapPeer[]): string {
  return JSON.stringify({
    format: 1,
    revision: revision++,
    self: {
      ...{ replica: id(1), connector: id(2), name: 'here', vnet: id(3), vnetName: 'default' },
      relayId: 1,
      mesh: { ipv4: '10.77.0.1/32', ipv6: 'fd77::1/128' },
      meshRanges: { ipv4: '10.77.0.0/16', ipv6: 'fd77::/48' },
      serving: true,
      routes: [],
    },
    peers,
    edges: [],
  });
}

async function replace(netmap: Netmap): Promise<void> {
  await turns.take(() => inForce.replace(netmap, `bench.${netmap.revision}`));
  if (inForce.kernelFault !== undefined) throw new Error(inForce.kernelFault);
}

function decoded(text: string): Netmap {
  const netmap = decodeNetmap(text);
  if (!netmap.ok) throw new Error(netmap.message);
  return netmap.value;
}

const some = Array.from({ length: CONNECTORS }, (_, n) => peerOf(n, 0));
const all = some.map((peer, n) => ({ ...peerOf(n, ROUTES_OF_ONE), publicKey: peer.publicKey }));

async function timed(what: string, step: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await step();
  process.stdout.write(`${what} ${(performance.now() - start).toFixed(2)}\n`);
}

let added = 0;
const commands: Record<string, (...args: string[]) => Promise<void>> = {
  start: async (key, endpoint) => {
    await inForce.open({ netmap: decoded(netmapOf(some)), resolved: {} } as never, true);
    await tunnel.apply({
      peers: [
        {
          publicKey: keyFromBase64(key!)!,
          endpoint: parseEndpoint(endpoint!, () => undefined)!,
          allowedIps: packAllowedIps([parsePrefix('10.77.0.2/32')!]),
        },
      ],
    });
    process.stdout.write(`ready ${keyToBase64(tunnel.snapshot().publicKey!)}\n`);
  },
  install: async () => {
    const text = netmapOf(all);
    await timed('installed', () => replace(decoded(text)));
  },
  one: async () => {
    const n = added++;
    const { replica, connector } = some[n % CONNECTORS]!;
    const set = [{ prefix: `99.${n >> 8}.${n & 255}.0/24`, priority: 100 }];
    const patch = [{ replica, connector, set, remove: [] }];
    const text = JSON.stringify({ format: 1, revision: revision++, patch });
    await timed('one', () => {
      const delta = decodeDelta(text);
      if (!delta.ok) throw new Error(delta.message);
      return replace(applyDelta(inForce.netmap!, delta.value));
    });
  },
  remove: async () => {
    const text = netmapOf(some);
    await timed('removed', () => replace(decoded(text)));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = line.split(' ');
  await commands[command!]!(...args);
}
await turns.close();
await inForce.close();
await tunnel.close();
await kernel.remove();
await state.close();
