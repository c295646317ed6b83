/** Small random networks and policies, in which prefixes of several connectors lie inside one another. */
import fc from 'fast-check';
import type { AddressHolder } from '../../../../src/control/policy/address-owners.ts';
import type { NumericAddress } from '../../../../src/control/policy/address-set.ts';
import type { Flow } from '../../../../src/control/policy/evaluate.ts';
import type { Policy, Rule, Selector } from '../../../../src/control/policy/policy.ts';

export const CONNECTORS = ['a', 'b', 'c', 'd'].map(
  (name) => `00000000-0000-4000-8000-00000000000${name}`,
);

const FOUR = { minLength: 4, maxLength: 4 } as const;

/** 16 addresses of each family, in aligned blocks. */
const prefix = fc
  .tuple(fc.constantFrom(4, 6), fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 4 }))
  .map(([family, at, bits]) => {
    const first = (at >> bits) << bits;
    return family === 4
      ? `10.0.0.${first}/${32 - bits}`
      : `fd00::${first.toString(16)}/${128 - bits}`;
  });

export const holders: fc.Arbitrary<AddressHolder[]> = fc
  .array(fc.array(prefix, { maxLength: 4 }), FOUR)
  .chain((lists) =>
    fc.tuple(fc.constant(lists), fc.array(fc.subarray(['0.0.0.0/0', '::/0']), FOUR)),
  )
  .map(([lists, defaults]) =>
    lists.map((prefixes, i) => ({
      connector: CONNECTORS[i]!,
      prefixes: [...prefixes, `100.96.0.${i + 1}/32`, `fd99::${i + 1}/128`, ...defaults[i]!],
    })),
  );

const selector: fc.Arbitrary<Selector | null> = fc.option(
  fc.record({
    connectors: fc.subarray(CONNECTORS) as fc.Arbitrary<Selector['connectors']>,
    tags: fc.subarray(['t', 'u']),
    prefixes: fc.array(prefix, { maxLength: 3 }),
    internet: fc.constantFrom(true as const, undefined, undefined),
  }),
);

type Service = Pick<Rule, 'protocols' | 'ports' | 'icmp'>;
const services: Service[] = [
  { protocols: [], ports: [], icmp: [] },
  { protocols: [], ports: [], icmp: [] },
  { protocols: [6], ports: [], icmp: [] },
  { protocols: [6, 17], ports: [[1, 2]], icmp: [] },
  { protocols: [17], ports: [[2, 2]], icmp: [] },
  { protocols: [1, 58], ports: [], icmp: ['echo-request'] },
  { protocols: [1, 58], ports: [], icmp: [] },
  { protocols: [47], ports: [], icmp: [] },
];
const service = fc.constantFrom(...services);

const rule: fc.Arbitrary<Rule> = fc
  .record({
    action: fc.constantFrom('allow' as const, 'deny' as const, 'log' as const),
    from: selector,
    to: selector,
    service,
  })
  .map(({ service: what, ...rest }) => ({ ...rest, ...what }));

export const policies: fc.Arbitrary<Policy> = fc.record({
  version: fc.constant(1),
  default: fc.constantFrom('allow' as const, 'deny' as const),
  tags: fc.record({
    t: fc.subarray(CONNECTORS) as fc.Arbitrary<Selector['connectors']>,
    u: fc.subarray(CONNECTORS) as fc.Arbitrary<Selector['connectors']>,
  }),
  rules: fc.array(rule, { maxLength: 8 }),
});

const address = (family: 4 | 6): fc.Arbitrary<NumericAddress> => {
  const [lan, mesh] =
    family === 4 ? [0x0a00_0000n, 0x6460_0000n] : [0xfd00n << 112n, 0xfd99n << 112n];
  return fc
    .oneof(
      fc.bigInt(0n, 15n).map((at) => lan + at),
      fc.bigInt(1n, 4n).map((at) => mesh + at),
      // The Internet.
      fc.bigInt(1n, 3n).map((at) => lan + 0x1000n + at),
    )
    .map((value) => ({ family, value }));
};

export const flows: fc.Arbitrary<Flow> = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) =>
    fc.record({
      source: address(family),
      destination: address(family),
      what: fc.constantFrom(
        { protocol: 6, port: 1 },
        { protocol: 6, port: 3 },
        { protocol: 17, port: 2 },
        { protocol: family === 4 ? 1 : 58, port: family === 4 ? 8 : 128 },
        { protocol: family === 4 ? 1 : 58, port: 13 },
        { protocol: 47, port: undefined },
      ),
    }),
  )
  .map(({ source, destination, what }) => ({ source, destination, ...what }));
