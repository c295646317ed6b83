/** The gateway's metrics against the status that they are made of, read by a parser of the test's own. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DROP_REASON_NAMES } from '../../../../src/drops.ts';
import {
  type MeshStatus,
  type RouteInForce,
  routeInForceSchema,
} from '../../../../src/gateway/mesh/mesh-status.ts';
import { GatewayMetrics } from '../../../../src/gateway/metrics/gateway-metrics.ts';
import { type Exposition, readExposition } from './exposition.ts';
import { ago, NOW, peer, status } from './statuses.ts';

beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

let problems: string[] = [];
let findings: MeshStatus['findings'] = [];
let diagnosed = 0;
let current: MeshStatus;
const source = {
  report: async () => current,
  examined: async () => {
    diagnosed++;
    return { problems, findings };
  },
};

async function scrape(of: MeshStatus, metrics = new GatewayMetrics(source)): Promise<Exposition> {
  current = of;
  return readExposition(await metrics.text());
}

function route(n: number, state: RouteInForce['state'] = 'in force'): RouteInForce {
  const prefix = `10.${n >> 8}.${n & 255}.0/24`;
  return { prefix, connector: `site-${n % 3}`, priority: 100, state, path: '' };
}

test('what the gateway is, escaped as the format wants', async () => {
  const read = await scrape(status());
  expect(
    read.value('causeway_gateway_info', {
      version: '1.2.3',
      connector: 'home "quoted\\"\n',
      vnet: 'default',
      replica: 'replica-0',
      interface: 'causeway0',
      crypto: 'openssl',
    }),
  ).toBe(1);
  expect(read.value('causeway_gateway_netmap_revision')).toBe(42);
  expect(read.value('causeway_gateway_netmap_cached')).toBe(0);
  expect(read.value('causeway_gateway_netmaps_refused_total')).toBe(1);
  expect(read.value('causeway_gateway_start_time_seconds')).toBe(NOW / 1_000 - 3_600);
  expect(read.value('causeway_gateway_stream', { state: 'open' })).toBe(1);
  expect(read.value('causeway_gateway_stream', { state: 'connecting' })).toBe(0);
  expect(read.value('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  expect(read.value('process_open_fds')).toBeGreaterThan(2);
  expect(read.value('process_max_fds')).toBeGreaterThan(2);
});

test('every drop reason of the list, also those that never happened', async () => {
  const drops = [{ reason: 'out_no_route', meaning: '', packets: 3 }];
  const read = await scrape(status({ drops }));
  const shown = read.samples.filter(({ name }) => name === 'causeway_gateway_drops_total');
  expect(shown.map(({ labels }) => labels.reason).toSorted()).toEqual(
    [...DROP_REASON_NAMES].toSorted(),
  );
  expect(shown.filter(({ value }) => value > 0)).toMatchObject([
    { labels: { reason: 'out_no_route' }, value: 3 },
  ]);
});

test('a peer with its path, session and bytes; what is not known is not there', async () => {
  const peers = [
    peer(1, {
      rtt: 12.5,
      mtu: 1_380,
      path: { kind: 'direct', edge: null, endpoint: '198.51.100.1:1' },
    }),
    peer(2, { lastHandshake: null, serving: false }),
    peer(3, { lastHandshake: ago(181) }),
  ];
  const read = await scrape(status({ peers }));
  const one = { connector: 'site-1', replica: 'replica-1' };
  const two = { connector: 'site-2', replica: 'replica-2' };
  expect(read.value('causeway_gateway_peer_rtt_seconds', one)).toBe(0.0125);
  expect(read.value('causeway_gateway_peer_rtt_seconds', two)).toBeUndefined();
  expect(read.value('causeway_gateway_peer_path_mtu_bytes', one)).toBe(1_380);
  expect(read.value('causeway_gateway_peer_path_mtu_bytes', two)).toBeUndefined();
  expect(read.value('causeway_gateway_peer_path', { ...one, path: 'direct' })).toBe(1);
  expect(read.value('causeway_gateway_peer_path', { ...one, path: 'relayed' })).toBe(0);
  expect(read.value('causeway_gateway_peer_receive_bytes_total', two)).toBe(2_000);
  expect(read.value('causeway_gateway_peer_transmit_bytes_total', two)).toBe(20);
  expect(read.value('causeway_gateway_peer_last_handshake_seconds', one)).toBe(NOW / 1_000 - 10);
  expect(read.value('causeway_gateway_peer_last_handshake_seconds', two)).toBeUndefined();
  expect(read.value('causeway_gateway_peer_serving', two)).toBe(0);
  expect(read.value('causeway_gateway_peers', { path: 'relayed' })).toBe(2);
  expect(read.value('causeway_gateway_peers', { path: 'none' })).toBe(0);
  expect(read.value('causeway_gateway_peers_in_session')).toBe(1);
});

test('a peer that is gone leaves no series behind', async () => {
  const metrics = new GatewayMetrics(source);
  await scrape(status({ peers: [peer(1), peer(2)], netmap: null }), metrics);
  const read = await scrape(status({ peers: [peer(2)] }), metrics);
  const names = read.samples.filter(({ labels }) => labels.connector === 'site-1');
  expect(names).toEqual([]);
});

test.each([
  ['HEALTHY', [10, 100]],
  ['DEGRADED', [10, 200]],
  ['DOWN', [200, null]],
] as const)('health %s by the relays that are bound', async (state, handshakes) => {
  const edges = handshakes.map((seconds, i) => ({
    name: `edge-${i}`,
    publicKey: '',
    endpoint: null,
    apis: [],
    lastHandshake: seconds === null ? null : ago(seconds),
    rxBytes: 1,
    txBytes: 2,
  }));
  const read = await scrape(status({ edges }));
  const set = read.samples.filter(({ name }) => name === 'causeway_gateway_health');
  expect(set).toHaveLength(4);
  expect(set.filter(({ value }) => value === 1)).toMatchObject([{ labels: { state } }]);
  const bound = Number((handshakes[0] ?? 999) < 180);
  expect(read.value('causeway_gateway_edge_bound', { edge: 'edge-0' })).toBe(bound);
});

test('a gateway without a netmap', async () => {
  const read = await scrape(status({ netmap: null }));
  expect(read.value('causeway_gateway_health', { state: 'INACTIVE' })).toBe(1);
  expect(read.value('causeway_gateway_netmap_revision')).toBeUndefined();
});

test('policy counters', async () => {
  const counters = { denied: 5, invalid: 1, untracked: 0, logged: 2, diagnosis: 3 };
  const policy = { version: 3, default: 'deny' as const, rules: 7, counters, recent: [] };
  const read = await scrape(status({ policy }));
  expect(read.value('causeway_gateway_policy_version')).toBe(3);
  expect(read.value('causeway_gateway_policy_packets_total', { verdict: 'denied' })).toBe(5);
  const without = await scrape(status());
  expect(without.value('causeway_gateway_policy_version')).toBeUndefined();
  expect(without.value('causeway_gateway_policy_packets_total', { verdict: 'denied' })).toBe(0);
});

test('100,000 routes and 5,000 peers are no more series than a thousand of each', async () => {
  const routes = Array.from({ length: 100_000 }, (_, n) => {
    return { ...route(n % 65_536, n === 99_999 ? 'local' : 'in force'), prefix: `p${n}` };
  });
  const peers = Array.from({ length: 5_000 }, (_, n) => peer(n + 1));
  const metrics = new GatewayMetrics(source);
  const read = await scrape(status({ routes, peers }), metrics);
  expect(read.samples.length).toBeLessThan(11_500);
  const shown = read.samples.filter(({ name }) => name === 'causeway_gateway_route');
  expect(shown).toHaveLength(1_000);
  expect(shown.filter(({ labels }) => labels.state === 'local')).toHaveLength(1);
  expect(read.value('causeway_gateway_routes', { state: 'in force' })).toBe(99_999);
  expect(read.value('causeway_gateway_routes', { state: 'pending' })).toBe(0);
  expect(read.value('causeway_gateway_connector_routes', { connector: 'site-0' })).toBeGreaterThan(
    30_000,
  );
  expect(read.value('causeway_gateway_peers_not_shown')).toBe(4_000);
  // Those with the most traffic are shown.
  const labels = { connector: 'site-5000', replica: 'replica-5000' };
  expect(read.value('causeway_gateway_peer_receive_bytes_total', labels)).toBe(5_000_000);
});

test('what is wrong is counted, and looked for once a minute', async () => {
  const metrics = new GatewayMetrics(source);
  problems = ['one', 'two'];
  const found = { says: '', remedy: [], fixes: [] };
  findings = [
    { check: 'forwarding', status: 'problem', ...found },
    { check: 'forwarding', status: 'problem', ...found },
    { check: 'mtu', status: 'warning', ...found },
    { check: 'tun', status: 'ok', ...found },
  ];
  diagnosed = 0;
  const first = await scrape(status(), metrics);
  expect(first.value('causeway_gateway_problems')).toBe(2);
  const ofFindings = ({ name }: { name: string }) => name === 'causeway_gateway_findings';
  expect(first.samples.filter(ofFindings)).toMatchObject([
    { labels: { check: 'forwarding', status: 'problem' }, value: 2 },
    { labels: { check: 'mtu', status: 'warning' }, value: 1 },
  ]);
  findings = [];
  problems = [];
  vi.setSystemTime(NOW + 59_000);
  expect((await scrape(status(), metrics)).value('causeway_gateway_problems')).toBe(2);
  expect(diagnosed).toBe(1);
  vi.setSystemTime(NOW + 60_000);
  const last = await scrape(status(), metrics);
  expect(last.value('causeway_gateway_problems')).toBe(0);
  expect(last.samples.filter(ofFindings)).toEqual([]);
});

test('traffic that goes one way, the flow log, and the way out', async () => {
  const log = { target: 'file', written: 5, dropped: 1, lost: 2, fault: null };
  const silent = { about: 'prefix', since: ago(60), flows: 3, hosts: 2 } as const;
  const oneWay = ['10.2.0.0/24', '10.3.0.0/24'].map((prefix) => {
    return { prefix, connector: 'b', direction: 'out' as const, ...silent };
  });
  const edges = [
    {
      name: 'e',
      publicKey: '',
      endpoint: null,
      apis: [],
      lastHandshake: ago(1),
      rxBytes: 0,
      txBytes: 0,
    },
  ];
  const breakout = {
    connectors: ['b'],
    ipv4: { way: 'through' as const, connector: 'b' },
    ipv6: { way: 'refused' as const, connector: null },
  };
  const read = await scrape(status({ edges, breakout, flows: { log, fault: null, oneWay } }));
  const one = { connector: 'b', direction: 'out' };
  expect(read.value('causeway_gateway_one_way_prefixes', one)).toBe(2);
  expect(read.value('causeway_gateway_health', { state: 'DEGRADED' })).toBe(1);
  expect(read.value('causeway_gateway_flow_log_records_total', { result: 'dropped' })).toBe(1);
  expect(read.value('causeway_gateway_flow_log_losses')).toBe(2);
  const out = { family: 'ipv4', way: 'through', connector: 'b' };
  expect(read.value('causeway_gateway_breakout', out)).toBe(1);
  const without = await scrape(status({ edges }));
  expect(without.value('causeway_gateway_flow_log_losses')).toBeUndefined();
  expect(without.value('causeway_gateway_health', { state: 'HEALTHY' })).toBe(1);
});

test('every state of a route is counted', async () => {
  const routes = routeInForceSchema.shape.state.options.map((state, n) => route(n, state));
  const read = await scrape(status({ routes }));
  const counts = read.samples.filter(({ name }) => name === 'causeway_gateway_routes');
  expect(counts.map(({ value }) => value)).toEqual(routes.map(() => 1));
});
