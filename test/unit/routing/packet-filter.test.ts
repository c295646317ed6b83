/** Filter expressions: what each matches, where a wrong one is wrong, and random ones by a naive model. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/routing/address.ts';
import { compileFilter } from '../../../src/routing/packet-filter.ts';
import { explainMistake, parseFilter } from '../../../src/routing/packet-filter-syntax.ts';

interface Plan {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly ports?: readonly [number, number];
  /** Of an IPv4 fragment, in units of 8 bytes. */
  readonly fragment?: number;
  /** Extension headers of IPv6 before the transport header, by number. */
  readonly extensions?: readonly number[];
  readonly payload?: number;
}

function packet({
  from,
  to,
  protocol,
  ports,
  fragment = 0,
  extensions = [],
  payload = 8,
}: Plan): Uint8Array {
  const source = parseAddress(from)!;
  const transport = new Uint8Array(payload + (ports ? 4 : 0));
  if (ports) new DataView(transport.buffer).setUint32(0, ports[0] * 65_536 + ports[1]);
  const destination = parseAddress(to)!.address;
  if (source.family === 4) {
    const bytes = new Uint8Array(20 + transport.length);
    bytes.set([0x45, 0, 0, bytes.length, 0, 0, fragment >> 8, fragment & 255, 64, protocol]);
    bytes.set(source.address, 12);
    bytes.set(destination, 16);
    bytes.set(transport, 20);
    return bytes;
  }
  const bytes = new Uint8Array(40 + extensions.length * 8 + transport.length);
  bytes.set([0x60, 0, 0, 0, 0, bytes.length - 40, [...extensions, protocol][0]!, 64]);
  bytes.set(source.address, 8);
  bytes.set(destination, 24);
  extensions.forEach((_, i) => {
    bytes.set([[...extensions, protocol][i + 1]!, 0], 40 + i * 8);
  });
  bytes.set(transport, 40 + extensions.length * 8);
  return bytes;
}

function matches(filter: string, bytes: Uint8Array): boolean {
  const parsed = parseFilter(filter);
  if (!parsed.ok) throw new Error(explainMistake(filter, parsed.mistake));
  // Somewhere in a larger buffer, of which nothing else may be looked at.
  const buffer = new Uint8Array(bytes.length + 100).fill(0xff);
  buffer.set(bytes, 33);
  return compileFilter(parsed.expression)(buffer, 33, bytes.length);
}

const WEB = packet({ from: '10.1.0.10', to: '10.2.0.10', protocol: 6, ports: [40_000, 443] });
const DNS6 = packet({ from: 'fd01::10', to: 'fd02::53', protocol: 17, ports: [5_353, 53] });
const PING = packet({ from: '10.1.0.10', to: '10.2.0.10', protocol: 1 });

test.each([
  ['tcp', true, false, false],
  ['udp', false, true, false],
  ['icmp', false, false, true],
  ['icmp6', false, false, false],
  ['ip', true, false, true],
  ['ip6', false, true, false],
  ['host 10.1.0.10', true, false, true],
  ['dst host 10.1.0.10', false, false, false],
  ['src 10.1.0.10', true, false, true],
  ['10.2.0.10', true, false, true],
  ['net 10.2.0.0/15', true, false, true],
  ['net 10.4.0.0/14', false, false, false],
  ['dst net fd02::/16', false, true, false],
  ['src net fd02::/16', false, false, false],
  ['fd01::/16', false, true, false],
  ['net ::/0', false, true, false],
  ['port 443', true, false, false],
  ['src port 443', false, false, false],
  ['tcp dst port 443', true, false, false],
  ['udp port 443', false, false, false],
  ['portrange 50-60', false, true, false],
  ['dst portrange 5000-6000', false, false, false],
  ['proto 17', false, true, false],
  ['ip proto icmp', false, false, true],
  ['ip6 proto 17', false, true, false],
  ['less 30', false, false, true],
  ['greater 31', true, true, false],
  ['not tcp', false, true, true],
  ['! tcp && !icmp', false, true, false],
  ['!!icmp', false, false, true],
  ['tcp or udp', true, true, false],
  // From left to right, as tcpdump has it: (tcp or udp) and port 53.
  ['tcp or udp and port 53', false, true, false],
  ['tcp or (udp and port 53)', true, true, false],
  ['not (tcp or icmp)', false, true, false],
  ['  ( ( tcp ) )  ', true, false, false],
])('%s', (filter, web, dns, ping) => {
  expect([matches(filter, WEB), matches(filter, DNS6), matches(filter, PING)]).toEqual([
    web,
    dns,
    ping,
  ]);
});

test('ports are those of the first fragment, behind what stands before them', () => {
  const flow = { from: '10.1.0.10', to: '10.2.0.10', protocol: 17, ports: [1, 53] } as const;
  expect(matches('udp port 53', packet({ ...flow, fragment: 0x2000 }))).toBe(true);
  expect(matches('port 53', packet({ ...flow, fragment: 0x2001 }))).toBe(false);
  expect(matches('udp', packet({ ...flow, fragment: 1 }))).toBe(true);
  const flow6 = { from: 'fd01::1', to: 'fd02::2', protocol: 6, ports: [1, 22] } as const;
  expect(matches('tcp port 22', packet({ ...flow6, extensions: [0, 43, 44, 60] }))).toBe(true);
  expect(matches('proto 50', packet({ ...flow6, protocol: 50, extensions: [60] }))).toBe(true);
});

describe('a wrong one says where', () => {
  test.each([
    ['', 0, 'empty'],
    ['   ', 0, 'empty'],
    ['tcp port', 8, 'a port from 0 to 65535'],
    ['tcp port http', 9, 'not "http"'],
    ['port 65536', 5, 'not "65536"'],
    ['host 10.0.0', 5, 'an address'],
    ['host 10.0.0.0/8', 5, 'an address'],
    ['net 10.0.0.1/8', 4, 'bits set behind'],
    ['10.0.0.300', 0, 'an address'],
    ['tcp udp', 4, 'without "and" or "or"'],
    ['tcp and', 7, 'ends here'],
    ['tcp and or udp', 8, '"or" is not known'],
    ['(tcp', 4, '")" is expected'],
    ['(tcp udp)', 5, '")" is expected'],
    ['tcp)', 3, 'no "("'],
    ['portrange 9-1', 10, 'two ports'],
    ['portrange 1-2-3', 10, 'two ports'],
    ['proto 256', 6, 'a protocol'],
    ['tcp proto 6', 4, 'does not go with'],
    ['src proto 6', 4, 'after the direction'],
    ['src dst 10.0.0.1', 4, 'after the direction'],
    ['ether host a', 0, '"ether" is not known'],
    ['tcp & udp', 4, 'without "and"'],
    ['less -1', 5, 'a length'],
    [`${'not '.repeat(65)}tcp`, 64 * 4, 'nested'],
    ['('.repeat(65), 64, 'nested'],
    ['a'.repeat(3_000), 2_048, 'longer'],
  ])('%j', (filter, at, words) => {
    const parsed = parseFilter(filter);
    expect(parsed).toMatchObject({ ok: false, mistake: { at } });
    if (!parsed.ok) expect(parsed.mistake.message).toContain(words);
  });

  test('with a mark below', () => {
    const text = 'tcp port http';
    const parsed = parseFilter(text);
    if (parsed.ok) throw new Error('accepted');
    const [sentence, line, mark] = explainMistake(text, parsed.mistake).split('\n');
    expect(sentence).toMatch(/^The filter is wrong at character 10: /);
    expect(mark!.indexOf('^') - line!.indexOf('t')).toBe(9);
  });
});

describe('whatever is written', () => {
  const words = fc.constantFrom(
    ...'tcp udp icmp icmp6 ip ip6 host net port portrange src dst proto less greater and or not'.split(
      ' ',
    ),
    ...'&& || ! ( ) & | 10.1.0.10 10.0.0.0/8 fd01::/16 :: 443 0 65535 8000-8010 255 \\tcp x - \u0000 é'.split(
      ' ',
    ),
  );
  const texts = fc.oneof(
    fc.array(words, { maxLength: 30 }).map((list) => list.join(' ')),
    fc.array(words, { maxLength: 12 }).map((list) => list.join('')),
    fc.string({ maxLength: 60, unit: 'grapheme' }),
  );

  test('it is understood, or its mistake lies within; any packet gets an answer', () => {
    fc.assert(
      fc.property(texts, fc.uint8Array({ maxLength: 90 }), (text, bytes) => {
        const parsed = parseFilter(text);
        if (parsed.ok) {
          expect(typeof compileFilter(parsed.expression)(bytes, 0, bytes.length)).toBe('boolean');
          return;
        }
        expect(parsed.mistake.at).toBeGreaterThanOrEqual(0);
        expect(parsed.mistake.at).toBeLessThanOrEqual(text.length);
        expect(parsed.mistake.message.length).toBeGreaterThan(10);
      }),
      { numRuns: 3_000 },
    );
  });

  /** An expression and what it says of a packet, made side by side. */
  interface Meant {
    readonly text: string;
    readonly holds: (plan: Plan) => boolean;
  }
  const leaf = fc.oneof(
    fc.constantFrom<Meant>(
      { text: 'tcp', holds: ({ protocol }) => protocol === 6 },
      { text: 'udp', holds: ({ protocol }) => protocol === 17 },
      { text: 'ip', holds: ({ from }) => !from.includes(':') },
      {
        text: 'net 10.1.0.0/16',
        holds: ({ from, to }) => [from, to].some((a) => a.startsWith('10.1.')),
      },
      { text: 'src net 10.1.0.0/16', holds: ({ from }) => from.startsWith('10.1.') },
      { text: 'dst host 10.2.0.7', holds: ({ to }) => to === '10.2.0.7' },
    ),
    fc.nat(3).map(
      (n): Meant => ({
        text: `dst port ${n}`,
        holds: ({ ports, protocol }) => ports?.[1] === n && [6, 17].includes(protocol),
      }),
    ),
  );
  const { expression } = fc.letrec<{ expression: Meant }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc.tuple(tie('expression'), tie('expression')).map(
        ([a, b]): Meant => ({
          text: `(${a.text}) and (${b.text})`,
          holds: (plan) => a.holds(plan) && b.holds(plan),
        }),
      ),
      fc.tuple(tie('expression'), tie('expression')).map(
        ([a, b]): Meant => ({
          text: `(${a.text}) || (${b.text})`,
          holds: (plan) => a.holds(plan) || b.holds(plan),
        }),
      ),
      tie('expression').map(
        (a): Meant => ({
          text: `not (${a.text})`,
          holds: (plan) => !a.holds(plan),
        }),
      ),
    ),
  }));
  const plans = fc.record({
    from: fc.constantFrom('10.1.0.7', '10.2.0.7', 'fd01::7'),
    to: fc.constantFrom('10.1.0.7', '10.2.0.7'),
    protocol: fc.constantFrom(1, 6, 17),
    ports: fc.tuple(fc.nat(3), fc.nat(3)),
  });

  test('it means what its parts mean', () => {
    fc.assert(
      fc.property(expression, plans, ({ text, holds }, plan) => {
        const same = plan.from.includes(':') ? { ...plan, to: 'fd02::7' } : plan;
        expect(matches(text, packet(same)), text).toBe(holds(same));
      }),
      { numRuns: 2_000 },
    );
  });
});
