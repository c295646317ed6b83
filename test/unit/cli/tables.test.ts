/** Every table with the longest that names, addresses and numbers can be: 80 columns, and nothing lost. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatConnectors } from '../../../src/cli/connector-ls.ts';
import { formatConnector } from '../../../src/cli/connector-show.ts';
import { formatRoutes as formatGatewayRoutes } from '../../../src/cli/gateway-routes.ts';
import { formatHistory } from '../../../src/cli/policy-history.ts';
import { formatResults } from '../../../src/cli/policy-set.ts';
import { formatCheckAnswer } from '../../../src/cli/routes-check.ts';
import { formatRoutes } from '../../../src/cli/routes-ls.ts';
import { formatOverlaps } from '../../../src/cli/routes-overlaps.ts';
import { formatTable } from '../../../src/cli/table.ts';
import { formatTokens } from '../../../src/cli/tokens.ts';
import { formatVnets } from '../../../src/cli/vnets.ts';
import type { ConnectorView, RouteView } from '../../../src/control/operator-api.ts';

const ID = '01234567-89ab-4cde-8123-456789abcdef';
const NAME = `rack-${'a'.repeat(50)}-berlin1`;
const HOST = `gateway-7.${'b'.repeat(60)}.site.example.com`;
const PREFIX = '2001:db8:1234:5678:9abc:def0:1234:5670/124';
const COMMENT = 'as the network team asked in March, until the other line is there '
  .repeat(3)
  .trim();
const TIME = '2026-01-02T03:04:05.678Z';
const NOW = Date.parse('2026-11-28T00:00:00Z');

const vnet = { id: ID, name: NAME } as never;
const route = {
  ...{ id: ID, prefix: PREFIX, vnet, connector: vnet, priority: 65_535, comment: COMMENT },
  ...{ source: 'advertised', advertised: true, approved: true, serving: true, state: 'approved' },
  ...{ usedBy: [], created: TIME },
} as unknown as RouteView;
const connector = {
  ...{ id: ID, name: NAME, vnet, comment: COMMENT, autoApprove: [PREFIX, PREFIX, PREFIX] },
  mesh: { ipv4: '100.111.255.254', ipv6: 'fd12:3456:789a::ffff:fffe' },
  health: { state: 'DEGRADED', why: COMMENT, since: TIME },
  ...{ maxReplicas: 25, routes: { total: 2_048, pending: 1_024 }, created: TIME },
  replicas: [1, 2].map((n) => ({
    ...{ id: ID, publicKey: '', relayId: n, hostname: HOST, version: '10.11.12-beta.3' },
    ...{ serving: n === 1, boundTo: [NAME, NAME], since: TIME, created: TIME },
  })),
} as unknown as ConnectorView;

const TABLES: Readonly<Record<string, () => string>> = {
  'connector ls': () => formatConnectors([connector], NOW),
  'connector show': () => formatConnector(connector, [route], NOW),
  'routes ls': () =>
    formatRoutes([route, { ...route, prefix: '0.0.0.0/0', usedBy: [NAME, NAME] as never }]),
  'routes ls on a gateway': () =>
    formatGatewayRoutes({
      connector: { name: NAME },
      routes: [
        {
          ...{ prefix: PREFIX, connector: NAME, priority: 65_535, state: 'partly local' },
          path: `relayed via ${NAME} ([2001:db8:1234:5678:9abc:def0:1234:5678]:51820)`,
        },
      ],
    } as never),
  'routes overlaps': () =>
    formatOverlaps({
      overlaps: [{ outer: route, inner: route, sameVnet: false }],
      truncated: true,
    }),
  'routes check': () =>
    formatCheckAnswer({
      prefix: PREFIX,
      answers: [{ vnet, reachedBy: route, overlapping: [route] }],
    }),
  'vnets ls': () =>
    formatVnets([
      {
        ...{ id: ID, name: NAME, comment: COMMENT, default: true, connectors: 65_536 },
        ...{ routes: 131_072, created: TIME },
      } as never,
    ]),
  'tokens ls': () =>
    formatTokens([
      { id: ID, name: NAME, role: 'read-only', created: TIME, expires: TIME } as never,
    ]),
  'policy history': () =>
    formatHistory([
      {
        ...{ version: 123_456, created: TIME, author: NAME, rules: 4_096, default: 'allow' },
        comment: COMMENT,
      } as never,
    ]),
  'policy test': () =>
    formatResults({
      passed: false,
      results: [
        {
          ...{ number: 1_024, flow: `${NAME} → ${NAME} icmp node-information-query` },
          ...{ expect: 'allow', verdict: 'deny', rule: 4_096, passed: false },
          ...{ logged: [], sourceConnectors: [], destinationConnectors: [] },
        },
      ],
    } as never),
};

describe('the longest names, prefixes and comments', () => {
  test('routes of a gateway: its own first, the others by address', () => {
    const routes = [
      { prefix: '10.9.0.0/16', state: 'ours' },
      { prefix: '10.3.0.0/24', state: 'in force' },
      { prefix: 'fd02::/64', state: 'in force' },
      { prefix: '10.2.0.0/16', state: 'local' },
      { prefix: '0.0.0.0/0', state: 'offered' },
    ].map((route) => ({ ...route, connector: 'a', priority: 100, path: '' }));
    const text = formatGatewayRoutes({ connector: { name: 'a' }, routes } as never);
    expect(text.split('\n').map((line) => line.split(' ')[0])).toEqual([
      ...['PREFIX', '10.9.0.0/16', '0.0.0.0/0', '10.2.0.0/16', '10.3.0.0/24', 'fd02::/64', ''],
    ]);
  });

  test.each(Object.entries(TABLES))('%s fits 80 columns', (_, format) => {
    const lines = format().split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  test('an id that is for copying is never broken', () => {
    expect(TABLES['connector show']!().split(ID)).toHaveLength(4);
  });

  test('what is short stays on one line', () => {
    const short = { ...connector.replicas[0]!, hostname: 'berlin-1', version: '0.1.0' };
    const replicas = [{ ...short, boundTo: ['edge-1' as never] }];
    const text = formatConnector({ ...connector, replicas }, [], NOW);
    expect(text).toMatch(/^berlin-1 {2}0\.1\.0 {4}serving {2}edge-1 {2}329 d {2}0123\S+$/m);
  });
});

test('nothing of a cell is lost or moved to another column, whatever is in it', () => {
  const word = fc
    .array(fc.constantFrom('a', 'b', '-', ':', '.', '/', 'ö', '→'), { minLength: 1, maxLength: 60 })
    .map((letters) => letters.join(''));
  const cell = fc.array(word, { maxLength: 5 }).map((words) => words.join(' '));
  const table = fc.integer({ min: 1, max: 7 }).chain((columns) =>
    fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), {
      minLength: 1,
      maxLength: 3,
    }),
  );
  fc.assert(
    fc.property(table, (rows) => {
      const heads = rows[0]!.map((_, i) => `HEAD${i}`);
      const [head, ...lines] = formatTable(heads, rows).trimEnd().split('\n');
      expect([head!, ...lines].filter((line) => line.length > 80)).toEqual([]);
      const starts = heads.map((name) => head!.indexOf(name));
      const columns = starts.map((start, i) => {
        return lines.map((line) => line.slice(start, starts[i + 1]).trim()).join('');
      });
      // Spaces are where lines may end, so they are not compared.
      const bare = (text: string): string => text.replaceAll(' ', '');
      const wanted = heads.map((_, i) => bare(rows.map((row) => row[i]).join('')));
      expect(columns.map(bare)).toEqual(wanted);
    }),
    { numRuns: 500 },
  );
});
