/** Metrics of what the gateway sees of connections: the flow log, traffic that goes one way, breakout. */
import { MAX_SHOWN, type MetricsTable } from './gateway-metrics.ts';

export function addFlowMetrics(table: MetricsTable): void {
  table.counters(
    'causeway_gateway_flow_log_records_total',
    'Records of the flow log by what became of them; absent while it is off',
    ['result'],
    ({ flows: { log } }, set) => {
      if (log === null) return;
      set({ result: 'written' }, log.written);
      set({ result: 'dropped' }, log.dropped);
    },
  );
  table.gauge(
    'causeway_gateway_flow_log_losses',
    'Times that the kernel had more events about connections than were read; absent while it is off',
    ({ flows: { log } }) => log?.lost,
  );
  table.gauges(
    'causeway_gateway_one_way_prefixes',
    `Prefixes whose traffic is not answered; ${MAX_SHOWN} connectors at most`,
    ['connector', 'direction'],
    ({ flows: { oneWay } }, set) => {
      const counts = new Map<string, { connector: string; direction: string; prefixes: number }>();
      for (const { connector, direction } of oneWay) {
        const key = `${direction} ${connector}`;
        const { prefixes } = counts.get(key) ?? { prefixes: 0 };
        if (prefixes > 0 || counts.size < MAX_SHOWN) {
          counts.set(key, { connector, direction, prefixes: prefixes + 1 });
        }
      }
      for (const { prefixes, ...labels } of counts.values()) set(labels, prefixes);
    },
  );
  table.gauges(
    'causeway_gateway_breakout',
    "By which way the hosts' Internet traffic leaves; 1 for the one in use",
    ['family', 'way', 'connector'],
    ({ breakout }, set) => {
      if (breakout === null) return;
      for (const family of ['ipv4', 'ipv6'] as const) {
        const { way, connector } = breakout[family];
        set({ family, way, connector: connector ?? '' }, 1);
      }
    },
  );
}
