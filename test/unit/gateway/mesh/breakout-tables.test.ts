/** The table of breakout: for whom there is one, and what it says. In the kernel: test/netns/breakout.test.ts. */
import { describe, expect, test } from 'vitest';
import type { BreakoutWish } from '../../../../src/control/breakout.ts';
import { NO_BREAKOUT } from '../../../../src/control/breakout.ts';
import type { Netmap } from '../../../../src/control/netmap.ts';
import { BreakoutChoice } from '../../../../src/gateway/mesh/breakout-choice.ts';
import { breakoutSettings, breakoutTables } from '../../../../src/gateway/mesh/breakout-tables.ts';
import type { PrivateNetworks } from '../../../../src/gateway/mesh/default-interfaces.ts';
import { translateNetmap } from '../../../../src/gateway/mesh/netmap-translation.ts';
import { closedFamilies } from '../../../../src/gateway/mesh/wanted-kernel.ts';
import { type NetmapPlan, netmap } from './netmaps.ts';

const peers = [{ n: 2, prefixes: [['0.0.0.0/0'], ['10.2.0.0/24']] }] as const;
const nowhere = () => ({ endpoint: undefined, all: [] });
const exits = { 4: ['eth0', 'ppp0'], 6: ['eth0'] };

const alone = { 4: [], 6: [] };

function table(
  plan: NetmapPlan,
  wish: BreakoutWish = NO_BREAKOUT,
  out = exits,
  more: { beside?: PrivateNetworks; reserved?: Netmap['reserved'] } = {},
): string {
  const { beside = alone, reserved } = more;
  const map = { ...netmap(plan), ...(reserved && { reserved }) };
  const { breakout } = translateNetmap(map, nowhere, new BreakoutChoice(wish));
  const tables = breakoutTables(map, breakout, { interfaceName: 'mesh0', interfaces: out, beside });
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

  test('lets nobody into private networks that are reached beside the default route', () => {
    const beside = { 4: ['192.168.1.0/24', '10.0.0.0/8'], 6: ['fd77::/64'] };
    const own = [
      ['0.0.0.0/0', true],
      ['::/0', true],
      ['10.1.0.0/24', true],
    ] as const;
    const text = table({ own }, NO_BREAKOUT, exits, { beside });
    expect(text).toMatch(
      /set beside4 .*elements = { 169\.254\.0\.0\/16, 192\.168\.1\.0\/24, 10\.0\.0\.0\/8 }/,
    );
    expect(text).toMatch(/set beside6 .*elements = { fd77::\/64 }/);
    const refused = 'meta nfproto ipv4 ip daddr != @own4 ip daddr @beside4 counter reject';
    expect(text).toContain(refused);
    expect(text).toContain('meta nfproto ipv6 ip6 daddr @beside6 counter reject');
    // Nor to this host itself, by whatever address it listens to.
    expect(text).toMatch(
      /ipv4 .* fib daddr type { local, broadcast } ip daddr != 100\.96\.0\.1 counter reject/,
    );
    expect(text).toMatch(/ipv6 fib daddr type local ip6 daddr != fd00::1 counter reject/);
    // Link-local addresses, as those of a cloud's metadata, are beside every host.
    expect(table({ own })).toMatch(/set beside4 .*elements = { 169\.254\.0\.0\/16 }/);
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
    expect(text).toContain('iifname "mesh0" ip saddr @inside4 counter drop');
    expect(text).toMatch(/set inside4 .*elements = { 10\.1\.0\.0\/24, 100\.96\.0\.\d+\/32 }/);
    expect(text).not.toContain('masquerade');
    expect(table({ own: [['10.1.0.0/24', true]], peers })).toBe('');
  });

  test('takes from the way out neither its own mesh IP nor what is kept for others as source', () => {
    const offers = [{ n: 2, prefixes: [['0.0.0.0/0'], ['::/0']] }] as const;
    const kept = ['100.96.0.9/32', '10.9.0.0/16', '0.0.0.0/0', 'fd09::/64'];
    const reserved = [{ connector: netmap({}).self.connector, prefixes: kept }];
    const text = table({ peers: offers }, wish, exits, { reserved });
    const { mesh } = netmap({}).self;
    expect(text).toContain(`elements = { ${mesh.ipv4}, 100.96.0.9/32, 10.9.0.0/16 }`);
    expect(text).toContain(`elements = { ${mesh.ipv6}, fd09::/64 }`);
    expect(text).toContain('iifname "mesh0" ip6 saddr @inside6 counter drop');
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
    const host = { interfaceName: 'mesh0.1', interfaces: exits, beside: alone };
    const loosened = breakoutSettings(breakout, { ...host, strict: true });
    expect(loosened).toEqual({ 'net/ipv4/conf/mesh0.1/rp_filter': '2' });
    expect(breakoutSettings(breakout, { ...host, strict: false })).toEqual({});
  });
});
