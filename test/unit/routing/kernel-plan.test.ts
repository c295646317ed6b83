/**
 * The planner against a naive model of a kernel: whatever is installed and desired, and wherever the
 * application of a plan is cut off, or refused in part, the next plan leads to the same end.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  describeLosses,
  type KernelChange,
  type KernelState,
  planKernel,
} from '../../../src/routing/kernel-plan.ts';
import { parsePrefix } from '../../../src/routing/prefix.ts';
import { prefixKey } from '../../../src/routing/prefix-key.ts';
import type { TableRoute } from '../../../src/routing/route-plan.ts';
import {
  type RoutingRule,
  rulesOf,
  rulesOfFamily,
  ruleText,
} from '../../../src/routing/routing-rules.ts';

const TABLE = 52_000;
const OTHER = 52_001;
const target = { table: TABLE, mark: TABLE, priority: 20_000, forwardedOnly: true };
const other = { table: OTHER, mark: OTHER, priority: 20_000 };

/** What a kernel has, as lists and sets of text; a change that it cannot make throws. */
class ModelKernel {
  up = false;
  mtu = 1_500;
  addresses = new Set<string>();
  routes = new Map<string, TableRoute>();
  rules = new Map<string, RoutingRule>();
  tables = new Map<string, string>();
  settings = new Map<string, string>();

  get state(): KernelState {
    const routes = [...this.routes.values()];
    return {
      link: { up: this.up, mtu: this.mtu, addresses: new Set(this.addresses) },
      routes: new Map(routes.map((route) => [prefixKey(route), route])),
      rules: [...this.rules.values()],
      tables: new Map(this.tables),
      settings: new Map(this.settings),
    };
  }

  make(change: KernelChange, desired: KernelState): void {
    switch (change.kind) {
      case 'set':
        this.settings.set(change.setting, change.value);
        return;
      case 'release':
        if (!this.settings.delete(change.setting)) throw new Error('it was not set');
        return;
      case 'add-address':
        this.addresses.add(change.address);
        return;
      case 'remove-address':
        if (!this.addresses.delete(change.address)) throw new Error('no such address');
        return;
      case 'link':
        this.up = true;
        this.mtu = change.mtu;
        return;
      case 'put-table':
        this.tables.set(change.name, desired.tables.get(change.name)!);
        return;
      case 'remove-table':
        if (!this.tables.delete(change.name)) throw new Error('no such table');
        return;
      case 'put-routes':
        for (const route of change.routes) {
          if (!this.up && route.kind === undefined) throw new Error('network is down');
          this.routes.set(String(prefixKey(route)), route);
        }
        return;
      case 'remove-routes':
        for (const route of change.routes) {
          if (!this.routes.delete(String(prefixKey(route)))) throw new Error('no such route');
        }
        return;
      case 'add-rule':
        if (this.rules.has(ruleText(change.rule))) throw new Error('file exists');
        this.rules.set(ruleText(change.rule), change.rule);
        return;
      case 'remove-rule':
        if (!this.rules.delete(ruleText(change.rule))) throw new Error('no such rule');
        return;
    }
  }
}

const PREFIXES = ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '::/0', 'fd00::/8', 'fd01::/32'];
const route = fc.record({
  prefix: fc.constantFrom(...PREFIXES),
  throws: fc.boolean(),
  mtu: fc.option(fc.constantFrom(1_280, 1_400), { nil: undefined }),
});
const routes = fc.uniqueArray(route, { selector: ({ prefix }) => prefix }).map((list) =>
  list.map(({ prefix, throws, mtu }): TableRoute => {
    const parsed = parsePrefix(prefix)!;
    if (throws && parsed.length > 0) return { ...parsed, kind: 'throw' };
    return { ...parsed, ...(mtu !== undefined && { mtu }) };
  }),
);
const some = (...names: string[]) =>
  fc.dictionary(fc.constantFrom(...names), fc.constantFrom('0', '1', '2'));
const state = fc.record({
  up: fc.boolean(),
  mtu: fc.constantFrom(1_280, 1_420),
  addresses: fc.uniqueArray(fc.constantFrom('100.96.0.1/32', '100.96.0.2/32', 'fd7a::1/128')),
  routes,
  closed: fc.uniqueArray(fc.constantFrom<4 | 6>(4, 6)),
  tables: some('causeway-a', 'causeway-a-nat'),
  settings: some('net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'),
});
type Drawn = typeof state extends fc.Arbitrary<infer T> ? T : never;

const byKey = (list: readonly TableRoute[]) => new Map(list.map((one) => [prefixKey(one), one]));

function kernelOf(drawn: Drawn): ModelKernel {
  const kernel = new ModelKernel();
  kernel.up = drawn.up;
  kernel.mtu = drawn.mtu;
  kernel.addresses = new Set(drawn.addresses);
  for (const one of drawn.routes) {
    if (drawn.up || one.kind !== undefined) kernel.routes.set(String(prefixKey(one)), one);
  }
  for (const rule of rulesOf(target, byKey(drawn.routes), drawn.closed)) {
    kernel.rules.set(ruleText(rule), rule);
  }
  kernel.tables = new Map(Object.entries(drawn.tables));
  kernel.settings = new Map(Object.entries(drawn.settings));
  return kernel;
}

function desiredOf(drawn: Drawn): KernelState {
  const { link: _, ...rest } = kernelOf({ ...drawn, up: true }).state;
  return { link: { up: true, mtu: drawn.mtu, addresses: new Set(drawn.addresses) }, ...rest };
}

const plain = ({ link, routes: table, rules, tables, settings }: KernelState): unknown => ({
  link: { ...link, addresses: [...link.addresses].sort() },
  routes: [...table].map(([key, { kind, mtu }]) => [key, kind, mtu].join()).sort(),
  rules: rules.map(ruleText).sort(),
  tables: [...tables].sort(),
  settings: [...settings].sort(),
});

describe('a plan', () => {
  test('for what is installed already is empty', () => {
    fc.assert(
      fc.property(state, (drawn) => {
        expect(planKernel(desiredOf(drawn), desiredOf(drawn), TABLE)).toEqual([]);
      }),
    );
  });

  test('cut off anywhere, the next one ends where it would have', () => {
    fc.assert(
      fc.property(state, state, state, fc.nat(20), fc.nat(20), (was, first, last, cut, cutTwo) => {
        const kernel = kernelOf(was);
        for (const [wanted, most] of [
          [desiredOf(first), cut],
          [desiredOf(last), cutTwo],
          [desiredOf(last), Number.POSITIVE_INFINITY],
        ] as const) {
          const plan = planKernel(wanted, kernel.state, TABLE);
          for (const change of plan.slice(0, most)) kernel.make(change, wanted);
        }
        expect(plain(kernel.state)).toEqual(plain(desiredOf(last)));
        expect(planKernel(desiredOf(last), kernel.state, TABLE)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('refused in part, the rest is done, and the next one does what is missing', () => {
    fc.assert(
      fc.property(state, state, fc.integer({ min: 1, max: 0xffff }), (was, drawn, refusals) => {
        const kernel = kernelOf(was);
        const wanted = desiredOf(drawn);
        for (const [i, change] of planKernel(wanted, kernel.state, TABLE).entries()) {
          try {
            if ((refusals & (1 << (i % 16))) === 0) kernel.make(change, wanted);
          } catch {
            // A route into a link whose being set up was refused, for example.
          }
        }
        for (const change of planKernel(wanted, kernel.state, TABLE)) kernel.make(change, wanted);
        expect(plain(kernel.state)).toEqual(plain(wanted));
      }),
      { numRuns: 1_000 },
    );
  });

  test('of touched routes only is the whole plan, when no other differs', () => {
    fc.assert(
      fc.property(state, routes, (drawn, changed) => {
        const wanted = desiredOf(drawn);
        const installed = { ...wanted, routes: new Map(wanted.routes) };
        for (const one of changed) installed.routes.set(prefixKey(one), one);
        const touched = new Set(changed.map(prefixKey));
        const sorted = (plan: KernelChange[]): unknown =>
          plan.map((change) =>
            'routes' in change
              ? { ...change, routes: change.routes.map(prefixKey).sort() }
              : change,
          );
        expect(sorted(planKernel(wanted, installed, TABLE, touched))).toEqual(
          sorted(planKernel(wanted, installed, TABLE)),
        );
      }),
    );
  });
});

describe('what other tunnels have', () => {
  const nothing: KernelState = {
    link: { up: true, mtu: 1_420, addresses: new Set() },
    routes: new Map(),
    rules: [],
    tables: new Map(),
    settings: new Map(),
  };

  test('stays, the rule for the main table as long as one of them needs it', () => {
    const theirs = rulesOfFamily(other, 4, true, false);
    const ours = rulesOfFamily(target, 4, true, true);
    const rules = [...new Map([...theirs, ...ours].map((rule) => [ruleText(rule), rule])).values()];
    const removed = planKernel(nothing, { ...nothing, rules }, TABLE).map((change) =>
      'rule' in change ? ruleText(change.rule) : change.kind,
    );
    const shared = theirs.map(ruleText);
    expect(removed.sort()).toEqual(
      ours
        .map(ruleText)
        .filter((text) => !shared.includes(text))
        .sort(),
    );
  });

  test('and the rule for the main table goes with the last that needs it', () => {
    const rules = rulesOfFamily(target, 6, true, false);
    const removed = planKernel(nothing, { ...nothing, rules }, TABLE);
    expect(removed.map(({ kind }) => kind)).toEqual(['remove-rule', 'remove-rule', 'remove-rule']);
  });
});

test('what must not be missing is there first', () => {
  const wide = { ...parsePrefix('10.0.0.0/8')! };
  const exception: TableRoute = { ...parsePrefix('10.1.0.0/16')!, kind: 'throw' };
  const entries = [wide, exception];
  const desired: KernelState = {
    link: { up: true, mtu: 1_280, addresses: new Set(['100.96.0.1/32']) },
    routes: new Map(entries.map((one) => [prefixKey(one), one])),
    rules: rulesOf(target, byKey(entries), []),
    tables: new Map([['causeway-a', '…']]),
    settings: new Map([['net.ipv4.ip_forward', '1']]),
  };
  const plan = planKernel(desired, new ModelKernel().state, TABLE);
  expect(plan.map(({ kind }) => kind)).toEqual([
    'set',
    'add-address',
    'link',
    'put-table',
    'put-routes',
    'add-rule',
  ]);
  expect(plan.find(({ kind }) => kind === 'put-routes')).toEqual({
    kind: 'put-routes',
    routes: [exception, wide],
  });
});

test('what was never there was not taken away by anybody', () => {
  const changes: KernelChange[] = [
    { kind: 'put-table', name: 'causeway-a' },
    { kind: 'put-table', name: 'causeway-b' },
    { kind: 'set', setting: 'net.ipv4.ip_forward', value: '1' },
    { kind: 'remove-address', address: '10.0.0.1/32' },
  ];
  // Without `nft` a table is tried again and again.
  expect(describeLosses(changes, (table) => table === 'causeway-a')).toEqual([
    'the nftables table causeway-b',
    'the setting net.ipv4.ip_forward',
  ]);
});
