/**
 * The kernel's part of who may ask: a connection to the port of the diagnosis that does not come by the
 * mesh's interface from a mesh IP is dropped at its first packet. Linux answers on every address by every
 * interface, so a host of the LAN would reach the listener otherwise. What gets there all the same, on a
 * host without nftables, is closed unread (diagnosis-listener.ts). Pure.
 */
import type { Netmap } from '../../control/netmap.ts';
import { type NftTable, tableName } from '../../tun/nftables.ts';
import { DIAGNOSIS_PORT } from './port.ts';

/** @param self of the netmap in force: our mesh IPs, and the ranges of all of them */
export function portGuard(
  interfaceName: string,
  { mesh, meshRanges }: Pick<Netmap['self'], 'mesh' | 'meshRanges'>,
): NftTable {
  const name = `"${interfaceName}"`;
  const rules = (
    [
      ['ip', mesh.ipv4, meshRanges.ipv4],
      ['ip6', mesh.ipv6, meshRanges.ipv6],
    ] as const
  ).flatMap(([ip, own, range]) => [
    `    iifname != { "lo", ${name} } ${ip} daddr ${own} drop`,
    `    iifname ${name} ${ip} daddr ${own} ${ip} saddr != ${range} drop`,
  ]);
  return {
    name: tableName(interfaceName, 'diagnosis'),
    body: [
      // Of what is no such connection one rule is asked: the tunnel's datagrams pass here too.
      '  chain input {',
      '    type filter hook input priority filter; policy accept;',
      `    tcp dport ${DIAGNOSIS_PORT} goto guard`,
      '  }',
      '  chain guard {',
      ...rules,
      '  }',
    ].join('\n'),
    without: `Hosts beside the mesh can open connections to TCP port ${DIAGNOSIS_PORT} of the mesh IPs, which are closed unread.`,
  };
}
