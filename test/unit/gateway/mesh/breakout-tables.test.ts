/** The table of breakout: for whom there is one, and what it says. In the kernel: test/netns/breakout.test.ts. */
import { describe, expect, test } from 'vitest';
import type { BreakoutWish } from '../../../../src/control/breakout.ts';
import { NO_BREAKOUT } from '../../../../src/control/breakout.ts';
import { BreakoutChoice } from '../../../../src/gateway/mesh/breakout-choice.ts';
import { breakoutSettings, breakoutTables } from '../../../../src/gateway/mesh/breakout-tables.ts';
import { translateNetmap } from '../../../../src/gateway/mesh/netmap-translation.ts';
import { closedFamilies } from '../../../../src/gateway/mesh/wanted-kernel.ts';
import { type NetmapPlan, netmap } from './netmaps.ts';

const peers = [{ n: 2, prefixes: [['0.0.0.0/0'], ['10.2.0.0/24']] }] as const;
const nowhere = () => ({ endpoint: undefined, all: [] });
const exits = { 4: ['eth0', 'ppp0'], 6: ['eth0'] };

function table(plan: NetmapPlan, wish: BreakoutWish = NO_BREAKOUT, out = exits): string {
  const map = netmap(plan);
  const { breakout } = translateNetmap(map, nowhere, new BreakoutChoice(wish));
  const tables = breakoutTables(map, breakout, { interfaceName: 'mesh0', exits: out });
  return tables.map(({ name, body }) => `${name}\n${body}`).join('\n');
}

describe('the way out', () => {
  test('masquerades what is for no prefix of its own and leaves by its default route', () => {
    const text = table({
      own: [
        ['0.0.0.0/0', true],
        ['10.1.0.0/24', true],
        ['fd01::/64', true],
      ],
    });
    expect(text).toMatch(/^causeway-mesh0-breakout\n/);
    expect(text).toContain('elements = { 10.1.0.0/24 }');
    const out = '{ "eth0", "ppp0" }';
    expect(text).toContain(
      `iifname "mesh0" oifname ${out} meta nfproto ipv4 ip daddr != @own4 counter masquerade`,
    );
    expect(text).toContain(`ip daddr != @own4 oifname != ${out} counter reject`);
    // It offers IPv4 only.
    expect(text).not.toContain('ipv6');
    expect(text.match(/masquerade/g)).toHaveLength(1);
  });

  test('without a default route of its own lets nothing out', () => {
    const text = table({ own: [['::/0', true]] }, NO_BREAKOUT, { 4: ['eth0'], 6: [] });
    expect(text).not.toContain('masquerade');
    expect(text).toContain('iifname "mesh0" meta nfproto ipv6 counter reject');
  });

  test('needs consent', () => {
    expect(
      table({
        own: [
          ['0.0.0.0/0', false],
          ['10.1.0.0/24', true],
        ],
      }),
    ).toBe('');
  });
});

describe('the site that uses it', () => {
  const wish = { ...NO_BREAKOUT, connectors: ['site-2'] };

  test('takes nothing from the way out that has a source of its own', () => {
    const text = table({ own: [['10.1.0.0/24', true]], peers }, wish);
    expect(text).toContain('iifname "mesh0" ip saddr @own4 counter drop');
    expect(text).not.toContain('masquerade');
    expect(table({ own: [['10.1.0.0/24', true]], peers })).toBe('');
  });

  test('is closed where its own way was not said', () => {
    const closed = (more: Partial<BreakoutWish>): number[] => {
      return closedFamilies(
        translateNetmap(netmap({ peers }), nowhere, new BreakoutChoice({ ...wish, ...more }))
          .breakout,
      );
    };
    expect(closed({})).toEqual([4, 6]);
    expect(closed({ families: [4] })).toEqual([4]);
    expect(closed({ fallback: 'own' })).toEqual([]);
    expect(closed({ connectors: [] })).toEqual([]);
  });

  test('loosens the reverse-path filter of its own interface, if that is strict', () => {
    const { breakout } = translateNetmap(netmap({ peers }), nowhere, new BreakoutChoice(wish));
    const host = { interfaceName: 'mesh0.1', exits };
    const loosened = breakoutSettings(breakout, { ...host, strict: true });
    expect(loosened).toEqual({ 'net/ipv4/conf/mesh0.1/rp_filter': '2' });
    expect(breakoutSettings(breakout, { ...host, strict: false })).toEqual({});
  });
});
