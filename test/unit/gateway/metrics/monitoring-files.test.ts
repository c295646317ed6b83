/**
 * What is shipped for Prometheus and Grafana, against the metrics that there are: each metric and
 * label that a rule or a panel asks for exists, and docs/operations.md has them all.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RELAY_DROP_REASON_NAMES } from '../../../../src/control/relay/relay-drops.ts';
import { DROP_REASON_NAMES } from '../../../../src/drops.ts';
import { createMetrics, type MetricsSource } from '../../../../src/edge/metrics.ts';
import { routeInForceSchema } from '../../../../src/gateway/mesh/mesh-status.ts';
import { GatewayMetrics } from '../../../../src/gateway/metrics/gateway-metrics.ts';
import { type Exposition, readExposition } from './exposition.ts';
import { peer, status } from './statuses.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** As the schema has them. */
const ROUTE_STATES = routeInForceSchema.shape.state.options;

/** With a value of everything. */
async function gatewayMetrics(): Promise<Exposition> {
  const counters = { denied: 1, invalid: 1, untracked: 1, logged: 1, diagnosis: 1 };
  const source = {
    report: async () =>
      status({
        peers: [peer(1, { rtt: 1, mtu: 1_420 })],
        routes: ROUTE_STATES.map((state) => {
          return { prefix: `for ${state}`, connector: 'a', priority: 1, state, path: '' };
        }),
        edges: [
          {
            name: 'one',
            publicKey: '',
            endpoint: null,
            apis: [],
            lastHandshake: new Date().toISOString(),
            rxBytes: 1,
            txBytes: 1,
          },
        ],
        breakout: {
          connectors: [],
          ipv4: { way: 'own', connector: null },
          ipv6: { way: 'own', connector: null },
        },
        flows: {
          log: { target: '', written: 1, dropped: 1, lost: 1, fault: null },
          fault: null,
          oneWay: [
            {
              prefix: '10.0.0.0/8',
              connector: 'a',
              direction: 'out',
              about: 'prefix',
              since: new Date().toISOString(),
              flows: 3,
              hosts: 2,
            },
          ],
        },
        policy: { version: 1, default: 'deny', rules: 1, counters, recent: [] },
      }),
    examined: async () => ({
      problems: [],
      findings: [
        { check: 'mtu' as const, status: 'warning' as const, says: '', remedy: [], fixes: [] },
      ],
    }),
  };
  return readExposition(await new GatewayMetrics(source).text());
}

async function edgeMetrics(): Promise<Exposition> {
  const counts = { HEALTHY: 1, DEGRADED: 0, DOWN: 0, INACTIVE: 0 };
  const relay = {
    statistics: () => ({
      bound: 1,
      forwardedPackets: 1,
      forwardedBytes: 1,
      drops: [...RELAY_DROP_REASON_NAMES, 'in_mac1'].map((reason) => [reason, 1]),
      pairs: [{ from: 1, to: 2, bytes: 3 }],
    }),
  };
  const metrics = createMetrics({
    view: { revision: 1, routes: new Map(), replicas: new Map() },
    presence: { counts: () => counts },
    streams: { size: 1 },
    relay,
    version: '1',
  } as unknown as MetricsSource);
  metrics.answered('/v1/netmap', 'GET', 200, 0.1);
  return readHistograms(await metrics.text());
}

/** Histograms have samples under other names than their own. */
function readHistograms(text: string): Exposition {
  const whole = text.endsWith('\n') ? text : `${text}\n`;
  const lines = whole.split('\n');
  const plain = lines.flatMap((line) => {
    const name = /^(\w+)_(bucket|sum|count)[{ ]/.exec(line);
    if (name === null || !whole.includes(`# TYPE ${name[1]} histogram`)) return [line];
    return [`# HELP ${name[1]}_${name[2]} x`, `# TYPE ${name[1]}_${name[2]} counter`, line];
  });
  const seen = new Set<string>();
  const once = plain.filter(
    (line) => !line.startsWith('# ') || (!seen.has(line) && seen.add(line)),
  );
  // Grouped by name, as a reader wants them.
  const nameOf = (line: string): string =>
    /^# \w+ (\S+)|^(\w+)/.exec(line)?.slice(1).find(Boolean) ?? '';
  const groups = Map.groupBy(
    once.filter((line) => line !== ''),
    nameOf,
  );
  return readExposition(`${[...groups.values()].flat().join('\n')}\n`);
}

const metrics = await gatewayMetrics();
const ofEdge = await edgeMetrics();
const samples = [...metrics.samples, ...ofEdge.samples];

interface Use {
  readonly metric: string;
  /** `label=value` of the selector. */
  readonly selectors: readonly (readonly [label: string, operator: string, value: string])[];
}

/** The metrics in an expression, with what is selected of each. */
function usesIn(expression: string): Use[] {
  const found = expression.matchAll(
    /\b(causeway_\w+|process_\w+|nodejs_\w+|up)\b(?!\s*\()(?:\{([^}]*)\})?/g,
  );
  return [...found].map(([, metric, selector = '']) => ({
    metric: metric!,
    selectors: [...selector.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
      ([, label, operator, value]) => [label!, operator!, value!] as const,
    ),
  }));
}

/** Labels that the scraper adds. */
const TARGET = ['instance', 'job'];

const KNOWN_REASONS: readonly string[] = [...DROP_REASON_NAMES, ...RELAY_DROP_REASON_NAMES];

function faultsOf(expression: string): string[] {
  const uses = usesIn(expression);
  if (uses.length === 0) return [`no metric in ${expression}`];
  return uses.flatMap(({ metric, selectors }) => {
    if (metric === 'up') return [];
    const same = samples.filter(({ name }) => name === metric);
    if (same.length === 0) return [`no metric ${metric}`];
    return selectors.flatMap(([label, operator, value]) => {
      if (TARGET.includes(label)) return [];
      const values = same.map(({ labels }) => labels[label]);
      if (values[0] === undefined) return [`${metric} has no label ${label}`];
      if (!['reason', 'state', 'verdict', 'path'].includes(label) || metric.includes('_api_')) {
        return [];
      }
      const wanted = operator === '=' ? [value] : value.split('|');
      return wanted
        .filter((one) => !values.includes(one) && !KNOWN_REASONS.includes(one))
        .map((one) => `${metric} has no ${label} ${one}`);
    });
  });
}

test('the check finds what is not there', () => {
  expect(faultsOf('rate(causeway_gateway_nothing[5m])')).toEqual([
    'no metric causeway_gateway_nothing',
  ]);
  expect(faultsOf('causeway_gateway_health{state="HAPPY"}')).toHaveLength(1);
  expect(faultsOf('causeway_gateway_health{colour="red"}')).toHaveLength(1);
  expect(faultsOf('causeway_gateway_drops_total{reason=~"in_mac1|in_mac9"}')).toHaveLength(1);
  expect(faultsOf('1 + 1')).toHaveLength(1);
});

const rules = read('packaging/prometheus/alerts.yml')
  .split(/^ {6}- alert: /m)
  .slice(1)
  .map((text) => {
    const lines = text.split('\n');
    const at = lines.findIndex((line) => /^ {8}expr:/.test(line));
    const end = lines.findIndex((line, i) => i > at && /^ {8}\w+:/.test(line));
    const expression = lines
      .slice(at, end)
      .join(' ')
      .replace(/^ *expr: (>-)?/, '');
    return { name: lines[0]!, expression, text };
  });

test('there are rules, and no name is twice', () => {
  expect(rules.length).toBeGreaterThan(15);
  expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length);
});

test.each(rules)('$name asks for metrics that there are', ({ name, expression, text }) => {
  expect(faultsOf(expression)).toEqual([]);
  expect(text).toMatch(/severity: (critical|warning|info)\n/);
  expect(text).toMatch(/summary: ".+"\n/);
  expect(text).toMatch(/description: ".+"\n/);
  // What to do first.
  expect(read('docs/operations.md')).toMatch(new RegExp(`^\\| ${name} \\| .{10,} \\|$`, 'm'));
});

test('first actions are for rules that there are', () => {
  const documented = read('docs/operations.md').matchAll(/^\| (Causeway\w+) \|/gm);
  expect([...documented].map(([, name]) => name)).toEqual(rules.map(({ name }) => name));
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly id?: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: unknown }[];
  };
}

test.each(['gateway', 'edge'])('the dashboard of %s can be imported', (name) => {
  const board = JSON.parse(read(`packaging/grafana/${name}.json`)) as Dashboard;
  expect(board.uid).toMatch(/^[a-z-]{1,40}$/);
  expect(board.title).not.toBe('');
  expect(board.schemaVersion).toBeGreaterThan(30);
  // The database's own number of a dashboard would overwrite another.
  expect(board.id).toBeUndefined();
  expect(board.templating.list.map(({ name: variable }) => variable)).toEqual([
    'datasource',
    'instance',
  ]);
  expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
  const taken = new Set<string>();
  for (const { type, title, description, gridPos, datasource, targets } of board.panels) {
    expect(['row', 'stat', 'table', 'timeseries']).toContain(type);
    expect(title).not.toBe('');
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(taken.has(`${x} ${y}`), `${title} lies on another panel`).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
    if (type === 'row') continue;
    expect(description).not.toBe('');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own variable
    expect(datasource?.uid).toBe('${datasource}');
    expect(new Set(targets!.map(({ refId }) => refId)).size).toBe(targets!.length);
    for (const { expr } of targets!) {
      expect(faultsOf(expr)).toEqual([]);
      expect(expr).toContain('instance=~"$instance"');
    }
  }
});

test('docs/operations.md has every metric of ours, and no other', () => {
  const page = read('docs/operations.md');
  const documented = new Set([...page.matchAll(/`(causeway_\w+)`/g)].map(([, name]) => name!));
  const names = [...metrics.types.keys(), ...ofEdge.types.keys()]
    .filter((name) => name.startsWith('causeway_'))
    .filter((name) => !/_seconds_(bucket|sum|count)$/.test(name));
  expect([...documented].toSorted()).toEqual([...new Set(names)].toSorted());
});
