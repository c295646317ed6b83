/**
 * A gateway's metrics in the format of Prometheus, made from its status when they are asked for: what
 * `connector status --json` says and what is counted here cannot differ. docs/operations.md has the
 * meaning of each; a test compares the two.
 *
 * The number of series is bounded: peers and routes beyond the first MAX_SHOWN are in the totals only.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { DROP_REASON_NAMES } from '../../drops.ts';
import type { MeshStatus, RouteInForce } from '../mesh/mesh-status.ts';
import { addFlowMetrics } from './flow-metrics.ts';
import { addPeerMetrics } from './peer-metrics.ts';
import { addProcessMetrics } from './process-metrics.ts';

export interface MetricsSource {
  /** The gateway's status, but for what is wrong. */
  report(): Promise<MeshStatus>;
  /** What is wrong, as in the status: costs commands and files. */
  examined(): Promise<Pick<MeshStatus, 'findings' | 'problems'>>;
}

/** Peers, and routes, with series of their own. */
export const MAX_SHOWN = 1_000;

/** What is wrong is looked for at most so often. */
const DIAGNOSE_EVERY_MS = 60_000;

/** REJECT_AFTER_TIME (WireGuard whitepaper § 6.2): a session whose handshake is older is over. */
const SESSION_LASTS_MS = 180_000;

export const HEALTH_STATES = ['HEALTHY', 'DEGRADED', 'DOWN', 'INACTIVE'] as const;
const STREAM_STATES = ['connecting', 'open', 'gone'] as const;
const ROUTE_STATES = Object.keys({
  'in force': 0,
  local: 0,
  'partly local': 0,
  ours: 0,
  pending: 0,
  offered: 0,
} satisfies Record<RouteInForce['state'], 0>) as RouteInForce['state'][];
type PolicyCounters = NonNullable<MeshStatus['policy']>['counters'];
const POLICY_COUNTERS = Object.keys({
  denied: 0,
  invalid: 0,
  untracked: 0,
  logged: 0,
  diagnosis: 0,
} satisfies Record<keyof PolicyCounters, 0>) as (keyof PolicyCounters)[];

/** Sets one metric from the status. */
export type Reading = (status: MeshStatus, now: number) => void;

/** Makes metrics that `readings` fill. */
export class MetricsTable {
  readonly registry = new Registry();
  readonly #readings: Reading[] = [];

  /** A figure of the whole gateway; undefined = there is none now. */
  gauge(name: string, help: string, read: (status: MeshStatus, now: number) => number | undefined) {
    const gauge = new Gauge({ name, help, registers: [this.registry] });
    this.#readings.push((status, now) => {
      const value = read(status, now);
      if (value === undefined) gauge.remove();
      else gauge.set(value);
    });
  }

  /** Values with labels, all of them anew each time. */
  gauges<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (status: MeshStatus, set: (labels: Record<L, string>, value: number) => void) => void,
  ): void {
    const gauge = new Gauge({ name, help, labelNames, registers: [this.registry] });
    this.#readings.push((status) => {
      gauge.reset();
      read(status, (labels, value) => gauge.set(labels, value));
    });
  }

  /** The same for what is counted elsewhere. */
  counters<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (status: MeshStatus, set: (labels: Record<L, string>, value: number) => void) => void,
  ): void {
    const counter = new Counter({ name, help, labelNames, registers: [this.registry] });
    this.#readings.push((status) => {
      counter.reset();
      read(status, (labels, value) => counter.inc(labels, value));
    });
  }

  fill(status: MeshStatus, now: number): void {
    for (const reading of this.#readings) reading(status, now);
  }
}

export class GatewayMetrics {
  readonly #source: MetricsSource;
  readonly #table = new MetricsTable();
  readonly #problems: Gauge;
  readonly #findings: Gauge<'check' | 'status'>;
  #diagnoseAt = 0;

  constructor(source: MetricsSource) {
    this.#source = source;
    addGatewayMetrics(this.#table);
    addRouteMetrics(this.#table);
    addPolicyMetrics(this.#table);
    addPeerMetrics(this.#table);
    addFlowMetrics(this.#table);
    this.#problems = new Gauge({
      name: 'causeway_gateway_problems',
      help: 'What is wrong by `connector status`, counted; looked for once a minute',
      registers: [this.#table.registry],
    });
    this.#findings = new Gauge({
      name: 'causeway_gateway_findings',
      help: 'What checks found that is a warning or a problem; looked for once a minute',
      labelNames: ['check', 'status'],
      registers: [this.#table.registry],
    });
    addProcessMetrics(this.#table.registry);
  }

  get contentType(): string {
    return this.#table.registry.contentType;
  }

  /** All of them as they are now. */
  async text(): Promise<string> {
    const now = Date.now();
    this.#table.fill(await this.#source.report(), now);
    if (now >= this.#diagnoseAt) {
      this.#setExamined(await this.#source.examined());
      this.#diagnoseAt = now + DIAGNOSE_EVERY_MS;
    }
    return this.#table.registry.metrics();
  }

  #setExamined({ findings, problems }: Pick<MeshStatus, 'findings' | 'problems'>): void {
    this.#problems.set(problems.length);
    this.#findings.reset();
    for (const { check, status } of findings) {
      if (status === 'warning' || status === 'problem') this.#findings.inc({ check, status });
    }
  }
}

/** Seconds since 1970 of a time in ISO 8601. */
export function secondsOf(time: string): number {
  return Date.parse(time) / 1_000;
}

/** Whether there is a session. */
export function isInSession(lastHandshake: string | null, now: number): boolean {
  return lastHandshake !== null && now - Date.parse(lastHandshake) < SESSION_LASTS_MS;
}

function addGatewayMetrics(table: MetricsTable): void {
  table.gauges(
    'causeway_gateway_info',
    'This gateway; always 1',
    ['version', 'connector', 'vnet', 'replica', 'interface', 'crypto'],
    ({ version, connector, replica, interface: name, crypto }, set) => {
      const vnet = connector.vnet ?? '';
      const labels = { version, connector: connector.name, vnet, replica: replica.id };
      set({ ...labels, interface: name, crypto }, 1);
    },
  );
  table.gauge('causeway_gateway_start_time_seconds', 'Since when it is up', ({ since }) => {
    return secondsOf(since);
  });
  table.gauge(
    'causeway_gateway_serving',
    "Whether it carries its connector's mesh IPs and prefixes",
    ({ replica }) => Number(replica.serving),
  );
  table.gauges(
    'causeway_gateway_health',
    'Seen from here: HEALTHY with all relays bound, DEGRADED with some or with traffic that is not answered, DOWN with none, INACTIVE without a netmap',
    ['state'],
    (status, set) => {
      const health = healthOf(status, Date.now());
      for (const state of HEALTH_STATES) set({ state }, Number(state === health));
    },
  );
  table.gauges(
    'causeway_gateway_stream',
    'State of the netmap stream from the edge',
    ['state'],
    ({ stream }, set) => {
      for (const state of STREAM_STATES) set({ state }, Number(state === stream.state));
    },
  );
  table.gauge(
    'causeway_gateway_stream_since_seconds',
    'Since when the stream is in this state',
    ({ stream }) => secondsOf(stream.since),
  );
  table.gauge('causeway_gateway_netmap_revision', 'Revision of the netmap in force', (status) => {
    return status.netmap?.revision;
  });
  table.gauge(
    'causeway_gateway_netmap_cached',
    'Whether the netmap in force is from the disk, not from the edge',
    ({ netmap }) => (netmap === null ? undefined : Number(netmap.source === 'cache')),
  );
  table.counters(
    'causeway_gateway_netmaps_refused_total',
    'Netmaps and changes of the edge that were not valid',
    [],
    ({ netmap }, set) => set({}, netmap?.refused ?? 0),
  );
  table.gauge('causeway_gateway_mtu_bytes', 'MTU of the interface', ({ mtu }) => mtu);
  table.counters(
    'causeway_gateway_drops_total',
    'Packets that the data plane dropped, by reason (docs/drops.md)',
    ['reason'],
    ({ drops }, set) => {
      const counted = new Map(drops.map(({ reason, packets }) => [reason, packets]));
      for (const reason of DROP_REASON_NAMES) set({ reason }, counted.get(reason) ?? 0);
    },
  );
}

/** In cloudflared's words, as far as a gateway can tell by itself. */
function healthOf(
  { netmap, edges, flows }: MeshStatus,
  now: number,
): (typeof HEALTH_STATES)[number] {
  if (netmap === null) return 'INACTIVE';
  const bound = edges.filter(({ lastHandshake }) => isInSession(lastHandshake, now)).length;
  if (bound === 0) return 'DOWN';
  return bound < edges.length || flows.oneWay.length > 0 ? 'DEGRADED' : 'HEALTHY';
}

function addRouteMetrics(table: MetricsTable): void {
  table.gauges('causeway_gateway_routes', 'Routes by state', ['state'], ({ routes }, set) => {
    const counts = new Map<string, number>(ROUTE_STATES.map((state) => [state, 0]));
    for (const { state } of routes) counts.set(state, counts.get(state)! + 1);
    for (const [state, routes] of counts) set({ state }, routes);
  });
  table.gauges(
    'causeway_gateway_connector_routes',
    `Routes in force by the connector that they lead to; ${MAX_SHOWN} connectors at most`,
    ['connector'],
    ({ routes }, set) => {
      const counts = new Map<string, number>();
      for (const { state, connector } of routes) {
        if (state !== 'in force' && state !== 'partly local') continue;
        counts.set(connector, (counts.get(connector) ?? 0) + 1);
      }
      for (const [connector, routes] of [...counts].slice(0, MAX_SHOWN)) set({ connector }, routes);
    },
  );
  table.gauges(
    'causeway_gateway_route',
    `A route and its state; always 1. ${MAX_SHOWN} at most, those first that do not lead into the mesh as a whole`,
    ['prefix', 'connector', 'state'],
    ({ routes }, set) => {
      const quiet = routes.filter(({ state }) => state === 'in force');
      const first = routes.filter(({ state }) => state !== 'in force');
      for (const { prefix, connector, state } of [...first, ...quiet].slice(0, MAX_SHOWN)) {
        set({ prefix, connector, state }, 1);
      }
    },
  );
}

function addPolicyMetrics(table: MetricsTable): void {
  table.gauge(
    'causeway_gateway_policy_version',
    'Version of the policy that is enforced; absent without one',
    ({ policy }) => policy?.version,
  );
  table.gauge(
    'causeway_gateway_policy_rules',
    'Rules of the policy that concern this connector',
    ({ policy }) => policy?.rules,
  );
  table.counters(
    'causeway_gateway_policy_packets_total',
    'Packets by what the policy did with them',
    ['verdict'],
    ({ policy }, set) => {
      for (const verdict of POLICY_COUNTERS) set({ verdict }, policy?.counters[verdict] ?? 0);
    },
  );
}
