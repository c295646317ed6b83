/** `connector status`: a gateway's identity, its edge, its peers, and what is wrong, in words. */
import { Command } from 'commander';
import { sayWay } from '../gateway/mesh/breakout-diagnosis.ts';
import type { MeshPeer, MeshStatus } from '../gateway/mesh/mesh-status.ts';
import { describePath } from '../gateway/mesh/path-text.ts';
import { count } from './output.ts';
import { formatFields, formatTable, WIDTH, wrap } from './table.ts';
import { runningGateways } from './this-gateway.ts';
import { formatBytes, formatDuration } from './tunnel-status.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('show this gateway: edge, peers and their paths, drops, what is wrong')
    .option('--interface <name>', 'only the gateway on this interface')
    .option('--json', 'one JSON array, a gateway each')
    .action(run);
}

async function run(options: { readonly interface?: string; readonly json?: true }): Promise<void> {
  const gateways = await runningGateways(options.interface);
  process.stdout.write(
    options.json
      ? `${JSON.stringify(gateways, null, 2)}\n`
      : gateways.map((gateway) => formatMesh(gateway, Date.now())).join('\n'),
  );
}

/** For people: lines of at most 80 columns, but for what cannot be wrapped. */
export function formatMesh(status: MeshStatus, now: number): string {
  const { connector, replica, mesh, netmap } = status;
  const parts = [
    formatFields([
      ['connector', `${connector.name}${connector.vnet === null ? '' : ` in ${connector.vnet}`}`],
      ['replica', `${replica.id}${replica.serving ? '' : ' (not serving)'}`],
      ['mesh IPs', mesh === null ? '(none)' : `${mesh.ipv4} ${mesh.ipv6}`],
      ['interface', `${status.interface}, MTU ${status.mtu}, UDP port ${status.listenPort}`],
      ['cryptography', `${status.crypto} (${status.offloads.join(', ') || 'no offloads'})`],
      ['up for', `${age(status.since, now)} (process ${status.pid}, version ${status.version})`],
      [
        'netmap',
        netmap === null ? '(none)' : `revision ${netmap.revision}, from ${SOURCES[netmap.source]}`,
      ],
      ['edge API', formatStream(status, now)],
      ...formatBreakout(status),
      ...formatFlowLog(status),
    ]),
    formatTable(
      ['EDGE', 'RELAY', 'HANDSHAKE', 'RECEIVED', 'SENT'],
      status.edges.map((edge) => [
        edge.name,
        edge.endpoint ?? '(no address)',
        ...traffic(edge, now),
      ]),
    ),
    formatTable(
      ['PEER', 'MESH IP', 'HANDSHAKE', 'RECEIVED', 'SENT', 'PATH'],
      byName(status.peers).map((peer) => [
        peer.serving ? peer.connector : `${peer.connector} (standby)`,
        peer.mesh.ipv4,
        ...traffic(peer, now),
        formatPath(peer, status.mtu),
      ]),
    ),
    formatPolicy(status, now),
    formatDrops(status),
    formatProblems(status.problems),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function byName(peers: MeshStatus['peers']): MeshPeer[] {
  return peers.toSorted((a, b) => a.connector.localeCompare(b.connector, 'en'));
}

function formatBreakout({ breakout }: MeshStatus): [string, string][] {
  if (breakout === null) return [];
  const { ipv4, ipv6 } = breakout;
  return [['Internet', `IPv4 ${sayWay(ipv4)}, IPv6 ${sayWay(ipv6)}`]];
}

const SOURCES = { cache: 'the disk', edge: 'the edge' } as const;

function formatStream({ stream }: MeshStatus, now: number): string {
  const since = age(stream.since, now);
  if (stream.state === 'open') return `${stream.url}, for ${since}`;
  return stream.state === 'gone' ? 'deleted there' : `not reached for ${since}`;
}

function formatFlowLog({ flows: { log } }: MeshStatus): [string, string][] {
  if (log === null) return [];
  const dropped = log.dropped === 0 ? '' : `, ${log.dropped} dropped`;
  const lost = log.lost === 0 ? '' : `, events lost ${log.lost} times`;
  return [['flow log', `${log.target}, ${count(log.written, 'record')}${dropped}${lost}`]];
}

/** The MTU only where it is less than that of the interface, or not found yet on a path in use. */
function formatPath({ path, rtt, mtu }: MeshPeer, most: number): string {
  const time = rtt === null ? '' : `, ${rtt.toFixed(1)} ms`;
  const found = mtu === null ? (rtt === null ? '' : ', MTU searched for') : `, MTU ${mtu}`;
  return `${describePath(path)}${time}${mtu !== null && mtu >= most ? '' : found}`;
}

function traffic(
  part: {
    readonly lastHandshake: string | null;
    readonly rxBytes: number;
    readonly txBytes: number;
  },
  now: number,
): string[] {
  const handshake = part.lastHandshake === null ? 'never' : `${age(part.lastHandshake, now)} ago`;
  return [handshake, formatBytes(part.rxBytes), formatBytes(part.txBytes)];
}

function formatPolicy({ policy }: MeshStatus, now: number): string {
  if (policy === null) return '';
  const { version, rules, counters, recent } = policy;
  const about = `Policy: version ${version}, default ${policy.default}, ${count(rules, 'rule')} here; ${count(counters.denied, 'packet')} denied, ${counters.invalid} invalid.`;
  const rows = recent
    .slice(0, 5)
    .map((flow) => [
      `${age(flow.at, now)} ago`,
      flow.rule === null ? 'default' : `rule ${flow.rule}`,
      String(flow.packets),
      [flow.source, '→', flow.destination, flow.protocol, flow.port ?? ''].join(' ').trim(),
    ]);
  const table = formatTable(['DENIED', 'BY', 'PACKETS', 'FLOW'], rows);
  return `${wrap(about, WIDTH).join('\n')}\n${table}`;
}

function formatDrops({ drops }: MeshStatus): string {
  if (drops.length === 0) return 'No packets dropped.\n';
  const rows = drops.map(({ reason, meaning, packets }) => [String(packets), reason, meaning]);
  return formatTable(['DROPPED', 'REASON', 'MEANING'], rows);
}

function formatProblems(problems: readonly string[]): string {
  if (problems.length === 0) return 'Nothing is wrong.\n';
  const lines = problems.flatMap((problem) =>
    wrap(problem, WIDTH - 2).map((line, i) => `${i === 0 ? '! ' : '  '}${line}`),
  );
  return `${lines.join('\n')}\n`;
}

function age(time: string, now: number): string {
  return formatDuration(now - Date.parse(time));
}
