/** `connector tunnel status [NAME] [--json]`: what runs, whom it hears, what it drops. */
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import type { TunnelStatus } from '../gateway/status.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';

const WIDTH = 80;
const LABEL_WIDTH = 21;

export function tunnelStatusCommand(): Command {
  return new Command('status')
    .description('show tunnels: peers, latest handshakes, bytes, cryptography, drops')
    .argument('[name]', 'only this interface')
    .option('--json', 'one JSON array, a tunnel each')
    .action(run);
}

async function run(name: string | undefined, options: { readonly json?: true }): Promise<void> {
  if (name !== undefined) checkInterfaceName(name);
  const { requestAllStatus, requestStatus } = await import('../gateway/local-client.ts');
  const one = name === undefined ? undefined : await requestStatus(name);
  if (name !== undefined && one === undefined) {
    throw new CausewayError(
      'INTERFACE_MISSING',
      `No tunnel ${name} is up: start it with \`connector tunnel up\` or \`connector-wg\`.`,
    );
  }
  const tunnels = one === undefined ? await requestAllStatus() : [one];
  if (options.json) {
    process.stdout.write(`${JSON.stringify(tunnels, null, 2)}\n`);
    return;
  }
  if (tunnels.length === 0) process.stdout.write('No tunnel is up.\n');
  const texts = tunnels.map((status) => formatStatus(status, Date.now()));
  process.stdout.write(texts.join('\n'));
}

/** For people: lines of at most 80 columns, but for what cannot be wrapped. */
export function formatStatus(status: TunnelStatus, now: number): string {
  const lines = [`tunnel ${status.interface}`];
  const add = (label: string, value: string): void => {
    lines.push(...wrap(`  ${label}:`.padEnd(LABEL_WIDTH), value));
  };
  add('public key', status.publicKey ?? '(none)');
  add('listen port', status.listenPort === 0 ? '(none)' : String(status.listenPort));
  if (status.fwmark !== 0) add('fwmark', `0x${status.fwmark.toString(16)}`);
  add('cryptography', status.crypto);
  add('offloads', status.offloads.join(', ') || '(none)');
  add('up for', `${formatDuration(now - Date.parse(status.since))} (process ${status.pid})`);
  for (const peer of status.peers) {
    lines.push('', `  peer ${peer.publicKey}`);
    add('  endpoint', peer.endpoint ?? '(none)');
    add('  handshake', formatHandshake(peer.lastHandshake, now));
    add('  received', formatBytes(peer.rxBytes));
    add('  sent', formatBytes(peer.txBytes));
    if (peer.presharedKey) add('  preshared key', 'yes');
    if (peer.persistentKeepalive > 0) {
      add('  keepalive', `every ${peer.persistentKeepalive} s`);
    }
    add('  allowed IPs', formatAllowedIps(peer));
  }
  lines.push('');
  if (status.drops.length === 0) lines.push('  no packets dropped');
  else lines.push('  dropped packets, by reason');
  for (const { reason, meaning, packets } of status.drops) {
    lines.push(...wrap(`    ${String(packets).padStart(10)} ${reason.padEnd(26)} `, meaning));
  }
  return `${lines.join('\n')}\n`;
}

function formatAllowedIps(peer: TunnelStatus['peers'][number]): string {
  const MOST = 20;
  if (peer.allowedIpCount === 0) return '(none)';
  const shown = peer.allowedIps.slice(0, MOST).join(', ');
  const more = peer.allowedIpCount - Math.min(MOST, peer.allowedIps.length);
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function formatHandshake(time: string | undefined, now: number): string {
  if (time === undefined) return 'never';
  return `${formatDuration(now - Date.parse(time))} ago`;
}

/** The two largest units: `3 d 4 h`, `5 min 2 s`. */
export function formatDuration(milliseconds: number): string {
  let rest = Math.max(0, Math.floor(milliseconds / 1_000));
  const parts: string[] = [];
  for (const [unit, seconds] of [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.length === 0 ? '0 s' : parts.slice(0, 2).join(' ');
}

/** `1.21 GiB`, as `wg show` prints it. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(2)} ${units[unit]}`;
}

/** Text behind a label, broken at spaces, continued under its beginning. */
function wrap(label: string, text: string): string[] {
  const lines: string[] = [];
  let line = label;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' '.repeat(label.length);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  lines.push(line);
  return lines;
}
