/** Metrics in the format of Prometheus: gauges and counters read when they are asked for. */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry as MetricsRegistry,
} from 'prom-client';
import type { RegistryView } from '../control/registry/view.ts';
import type { NetmapStreams } from './netmap-streams.ts';
import type { Presence } from './presence.ts';
import type { RelayProcess } from './relay/relay.ts';

export interface MetricsSource {
  readonly view: RegistryView;
  readonly presence: Presence;
  readonly streams: NetmapStreams;
  readonly relay: Pick<RelayProcess, 'statistics'>;
  readonly version: string;
}

export interface Metrics {
  text(): Promise<string>;
  /** An answered request: the path as in the endpoint's definition, so that there are few. */
  answered(path: string, method: string, status: number, seconds: number): void;
}

/** Pairs shown at most, those with the most bytes. */
const MAX_PAIRS = 100;

export function createMetrics({ view, presence, streams, relay, version }: MetricsSource): Metrics {
  const registers = [new MetricsRegistry()];
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  collectDefaultMetrics({ register: registers[0]! });
  new Gauge({
    name: 'causeway_edge_info',
    help: 'Version of the edge',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
  gauge('causeway_registry_revision', 'Revision of the registry', () => view.revision);
  gauge('causeway_routes', 'Routes in the registry', () => view.routes.size);
  gauge('causeway_replicas', 'Replicas in the registry', () => view.replicas.size);
  gauge('causeway_streams', 'Open netmap streams', () => streams.size);
  new Gauge({
    name: 'causeway_connectors',
    help: 'Connectors by health',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(presence.counts())) this.set({ state }, count);
    },
  });
  const requests = new Histogram({
    name: 'causeway_api_request_seconds',
    help: 'Time to answer a request of the API',
    labelNames: ['path', 'method', 'status'],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5],
    registers,
  });
  addRelayMetrics(registers, relay);
  return {
    text: () => registers[0]!.metrics(),
    answered: (path, method, status, seconds) => {
      requests.observe({ path, method, status }, seconds);
    },
  };
}

/** The relay counts for itself; its counters are taken over as they are. */
function addRelayMetrics(
  registers: MetricsRegistry[],
  relay: Pick<RelayProcess, 'statistics'>,
): void {
  const name = (counter: string): string => `causeway_relay_${counter}`;
  new Gauge({
    name: name('bound_replicas'),
    help: 'Replicas bound to this relay',
    registers,
    collect() {
      this.set(relay.statistics().bound);
    },
  });
  const total = (counter: string, help: string, read: () => number): void => {
    new Counter({
      name: name(counter),
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  total(
    'forwarded_packets_total',
    'Datagrams forwarded',
    () => relay.statistics().forwardedPackets,
  );
  total('forwarded_bytes_total', 'UDP payload forwarded', () => relay.statistics().forwardedBytes);
  new Counter({
    name: name('drops_total'),
    help: 'Datagrams dropped, by reason (docs/relay-drops.md, docs/drops.md)',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const [reason, packets] of relay.statistics().drops) this.inc({ reason }, packets);
    },
  });
  new Counter({
    name: name('pair_bytes_total'),
    help: `UDP payload forwarded from one relay id to another; the ${MAX_PAIRS} pairs with the most`,
    labelNames: ['from', 'to'],
    registers,
    collect() {
      this.reset();
      const pairs = relay.statistics().pairs.toSorted((a, b) => b.bytes - a.bytes);
      for (const { from, to, bytes } of pairs.slice(0, MAX_PAIRS)) this.inc({ from, to }, bytes);
    },
  });
}
