/**
 * What the kernel needs to be told so that it tracks connections in this network namespace: it does
 * where some rule of nftables asks for their state. Ours stands in a chain that nothing jumps to, so no
 * packet ever meets it. For the flow log the kernel also counts bytes and notes when a connection began.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runCommand } from '../../tun/command.ts';
import { encodeTable, type NftTable, tableName } from '../../tun/nftables.ts';
import { type HostNeeds, NO_NEEDS } from '../mesh/wanted-kernel.ts';

const COUNTING = 'net.netfilter.nf_conntrack_acct';
const TIMESTAMPS = 'net.netfilter.nf_conntrack_timestamp';

export function trackingNeeds(
  interfaceName: string,
  { track, count }: { readonly track: boolean; readonly count: boolean },
): HostNeeds {
  if (!track) return NO_NEEDS;
  const settings = count ? { [COUNTING]: '1', [TIMESTAMPS]: '1' } : {};
  return { tables: [trackingTable(interfaceName)], settings };
}

function trackingTable(interfaceName: string): NftTable {
  const name = tableName(interfaceName, 'tracking');
  return { name, body: '  chain tracked {\n    ct state new\n  }' };
}

/**
 * Whether nftables and the kernel would take the table; nothing is installed.
 *
 * @param path where its text is written for `nft` to read
 * @throws CausewayError COMMAND_MISSING, COMMAND_FAILED, PERMISSION
 */
export async function checkTracking(interfaceName: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, encodeTable(trackingTable(interfaceName)), { mode: 0o600 });
  try {
    await runCommand('nft', ['-c', '-f', path]);
  } finally {
    await rm(path, { force: true });
  }
}
