/** What tells that somebody else forwards packets on this host. */
import { describe, expect, test } from 'vitest';
import type { FilterChain } from '../../../src/gateway/doctor/filter-model.ts';
import { parseNftRuleset } from '../../../src/gateway/doctor/nft-ruleset.ts';
import { forwardersIn, forwardingOf } from '../../../src/gateway/other-forwarders.ts';
import { readDump } from './doctor/dumps.ts';

function ruleset(family: string, ...expr: object[]): readonly FilterChain[] {
  const place = { family, table: 'x', handle: 1 };
  const chain = { ...place, name: 'c', type: 'nat', hook: 'postrouting', prio: 100 };
  const rule = { ...place, chain: 'c', expr };
  return parseNftRuleset({ nftables: [{ chain }, { rule }] }).chains;
}

describe('rules', () => {
  test("Docker's masquerade; a firewall without any does not", () => {
    expect(forwardersIn(readDump('docker.iptables-save'))).toEqual(new Set([4]));
    for (const name of ['ufw.iptables-save', 'ufw.ip6tables-save', 'handwritten.nft']) {
      expect(forwardersIn(readDump(name)), name).toEqual(new Set());
    }
  });

  test.each([
    ['ip', { masquerade: null }, [4]],
    ['ip6', { snat: { addr: 'fd00::1' } }, [6]],
    ['inet', { masquerade: null }, [4, 6]],
    ['ip', { dnat: { addr: '10.0.0.1' } }, []],
    ['ip', { redirect: { port: 80 } }, []],
    ['bridge', { masquerade: null }, []],
  ] as const)('of %s: %j', (family, expression, families) => {
    expect(forwardersIn(ruleset(family, expression))).toEqual(new Set(families));
  });

  // As firewalld writes them: a table of both families, and a rule of one.
  test.each([
    [{ meta: { key: 'nfproto' } }, 'ipv4', 4],
    [{ payload: { protocol: 'ip6', field: 'saddr' } }, 'fd00::/64', 6],
  ] as const)('of both families, for %j %s', (left, right, family) => {
    const match = { match: { op: '==', left, right } };
    const out = { match: { op: '!=', left: { meta: { key: 'oifname' } }, right: 'lo' } };
    const chains = ruleset('inet', match, out, { masquerade: null });
    expect(forwardersIn(chains)).toEqual(new Set([family]));
  });
});

test('settings that go with forwarding, and those that do not', () => {
  const of = (family: 4 | 6 | undefined, ...settings: string[]): void => {
    for (const setting of settings) expect(forwardingOf(setting), setting).toBe(family);
  };
  of(4, 'net/ipv4/ip_forward', 'net/ipv4/conf/eth0.1/forwarding');
  of(4, 'net/ipv4/conf/all/accept_redirects');
  of(6, 'net/ipv6/conf/all/forwarding', 'net/ipv6/conf/eth0/accept_ra');
  of(undefined, 'net/ipv4/conf/all/send_redirects', 'net/ipv4/conf/causeway0/rp_filter');
  of(undefined, 'net/netfilter/nf_conntrack_acct', 'net.ipv4.conf.all.src_valid_mark');
});
