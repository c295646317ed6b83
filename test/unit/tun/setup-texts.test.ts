/** What is handed to `nft` and the kernel as text, and the names that go into it. */
import { describe, expect, test } from 'vitest';
import { parseInterfaceAddress } from '../../../src/routing/prefix.ts';
import { checkInterfaceName, interfaceNameFault } from '../../../src/tun/interface-name.ts';
import {
  encodeTable,
  type Firewall,
  firewallTable,
  outsideTables,
  tableName,
} from '../../../src/tun/nftables.ts';
import { decodeNetlink, encodeLinkRequest } from '../../../src/tun/rtnetlink.ts';

describe('interface names', () => {
  test.each(['wg0', 'a', 'fifteen-bytes-x', 'site.1', 'ü'])('%s is one', (name) => {
    expect(interfaceNameFault(name)).toBeUndefined();
  });
  test.each(['', '.', '..', 'sixteen-bytes-xx', 'a b', 'a/b', 'a:b', 'wg%d', 'a\n', 'üüüüüüüü'])(
    '%j is none',
    (name) => {
      expect(() => checkInterfaceName(name)).toThrow(/no interface name/);
    },
  );
});

const encodeFirewall = (firewall: Firewall): string => encodeTable(firewallTable(firewall));

describe('nftables', () => {
  const firewall = { interfaceName: 'wg0', mtu: 1420, shielded: [], mark: undefined };

  test('replaces the table whether it is there or not', () => {
    expect(encodeFirewall(firewall).split('\n').slice(0, 3)).toEqual([
      'table inet causeway-wg0 {}',
      'delete table inet causeway-wg0',
      'table inet causeway-wg0 {',
    ]);
  });

  test('clamps both directions, by family', () => {
    const text = encodeFirewall(firewall);
    for (const direction of ['iifname "wg0"', 'oifname "wg0"']) {
      expect(text).toContain(
        `${direction} meta nfproto ipv4 tcp flags syn / syn,rst tcp option maxseg size > 1380`,
      );
      expect(text).toContain(
        `${direction} meta nfproto ipv6 tcp flags syn / syn,rst tcp option maxseg size > 1360`,
      );
    }
    expect(text).not.toContain('drop');
    expect(text).not.toContain('ct mark');
  });

  test('what comes from outside by a default route that only forwarded packets follow, by its MTU', () => {
    const [table, ...others] = outsideTables('wg0', { 4: 1300 });
    // The kernel takes `fib … oifname` before routing; in other hooks only from Linux 6.11 on.
    expect(encodeTable(table!).split('\n').slice(2)).toEqual([
      'table inet causeway-wg0-outside {',
      '  chain premangle {',
      '    type filter hook prerouting priority mangle; policy accept;',
      '    iifname "wg0" meta nfproto ipv4 tcp flags syn / syn,rst fib saddr oifname != "wg0" tcp option maxseg size > 1260 tcp option maxseg size set 1260',
      '  }',
      '}',
      '',
    ]);
    expect(others).toEqual([]);
    expect(outsideTables('wg0', {})).toEqual([]);
    // A kernel without `fib` loses no more than this table.
    expect(encodeFirewall({ ...firewall, byRoute: true })).not.toContain(' fib ');
  });

  test('with a default route: shields addresses, restores the mark', () => {
    const shielded = ['10.0.0.1/24', 'fd00::1/64'].map((text) => parseInterfaceAddress(text)!);
    const text = encodeFirewall({ ...firewall, shielded, mark: 52_000 });
    expect(text).toContain('iifname != "wg0" ip daddr 10.0.0.1 fib saddr type != local drop');
    expect(text).toContain('iifname != "wg0" ip6 daddr fd00::1 fib saddr type != local drop');
    expect(text).toContain('meta l4proto udp meta mark 52000 ct mark set meta mark');
  });

  test('table names hold only what nftables takes, and stay different', () => {
    const names = ['wg0', 'wg_0', 'wg+0', 'wg=0', 'wg-0', 'wg.0', 'wg_5f_0'].map((name) =>
      tableName(name),
    );
    for (const name of names) expect(name).toMatch(/^causeway-[A-Za-z0-9._-]+$/);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('netlink', () => {
  test('asks by index and by name', () => {
    const byIndex = encodeLinkRequest(7, 3);
    expect([...byIndex]).toEqual([
      ...[32, 0, 0, 0, 18, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0],
      ...[0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]);
    expect([...encodeLinkRequest('wg0', 3).subarray(32)]).toEqual([
      8, 0, 3, 0, 0x77, 0x67, 0x30, 0,
    ]);
  });

  test('an acknowledgement and an error', () => {
    const message = (errno: number): Uint8Array => {
      const bytes = new Uint8Array(36);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, 36, true);
      view.setUint16(4, 2, true);
      view.setUint32(8, 9, true);
      view.setInt32(16, -errno, true);
      return bytes;
    };
    expect(decodeNetlink(message(0))).toEqual([{ kind: 'error', errno: 0, sequence: 9 }]);
    expect(decodeNetlink(message(19))).toEqual([{ kind: 'error', errno: 19, sequence: 9 }]);
    expect(decodeNetlink(message(19), 35)).toEqual([]);
  });
});
