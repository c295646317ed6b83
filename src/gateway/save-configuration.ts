/** `SaveConfig = true`: the running configuration back into its file, in wg-quick's form. */
import { chmod, open, rename, stat } from 'node:fs/promises';
import { keyToBase64 } from '../keys.ts';
import { formatPrefix, type InterfaceAddress } from '../routing/prefix.ts';
import { ALLOWED_IP_RECORD } from '../wireguard/configuration.ts';
import { formatAllowedIp } from './allowed-ip-records.ts';
import { formatEndpoint } from './endpoint-text.ts';
import type { PeerSnapshot, TunnelSnapshot } from './tunnel.ts';
import type { WgQuickConfiguration } from './wg-quick-configuration.ts';

/**
 * The text of the file: what only the file knew as it was, keys, peers and endpoints as they are.
 * Contains the private key.
 *
 * @param automaticMark a mark that we chose ourselves, and that does not belong in the file
 */
export function encodeWgQuickConfiguration(
  before: WgQuickConfiguration,
  addresses: readonly InterfaceAddress[],
  snapshot: TunnelSnapshot,
  automaticMark: number,
): string {
  const lines = ['[Interface]'];
  const add = (key: string, value: string): void => void lines.push(`${key} = ${value}`);
  for (const address of addresses) add('Address', formatPrefix(address));
  for (const dns of [...before.dnsServers, ...before.dnsSearch]) add('DNS', dns);
  if (before.mtu !== undefined) add('MTU', String(before.mtu));
  if (before.table !== 'auto') add('Table', before.table);
  if (before.saveConfig) add('SaveConfig', 'true');
  for (const command of before.preUp) add('PreUp', command);
  for (const command of before.postUp) add('PostUp', command);
  for (const command of before.preDown) add('PreDown', command);
  for (const command of before.postDown) add('PostDown', command);
  if (snapshot.listenPort !== 0) add('ListenPort', String(snapshot.listenPort));
  if (snapshot.fwmark !== 0 && snapshot.fwmark !== automaticMark) {
    add('FwMark', `0x${snapshot.fwmark.toString(16)}`);
  }
  if (snapshot.privateKey !== undefined) add('PrivateKey', keyToBase64(snapshot.privateKey));
  for (const peer of snapshot.peers) lines.push('', ...peerLines(peer));
  return `${lines.join('\n')}\n`;
}

function peerLines(peer: PeerSnapshot): string[] {
  const lines = ['[Peer]', `PublicKey = ${keyToBase64(peer.publicKey)}`];
  if (peer.presharedKey) lines.push(`PresharedKey = ${keyToBase64(peer.presharedKey)}`);
  const prefixes: string[] = [];
  for (let at = 0; at < peer.allowedIps.length; at += ALLOWED_IP_RECORD) {
    prefixes.push(formatAllowedIp(peer.allowedIps, at));
  }
  if (prefixes.length > 0) lines.push(`AllowedIPs = ${prefixes.join(', ')}`);
  if (peer.endpoint) lines.push(`Endpoint = ${formatEndpoint(peer.endpoint)}`);
  if (peer.persistentKeepalive > 0) lines.push(`PersistentKeepalive = ${peer.persistentKeepalive}`);
  return lines;
}

/** Replaces the file in one step, with the permissions that it had. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const { mode } = await stat(path);
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(temporary, mode & 0o777);
  await rename(temporary, path);
}
