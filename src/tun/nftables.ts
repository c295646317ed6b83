/**
 * The nftables tables of a tunnel, each replaced atomically. The first has MSS clamping in both directions,
 * and for a default route what wg-quick adds: packets to the tunnel's addresses that do not come through the
 * tunnel are dropped, and the mark of our datagrams is remembered for their answers, so that strict
 * reverse-path filtering lets them in.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CausewayError } from '../errors.ts';
import { type Family, formatAddress } from '../routing/address.ts';
import type { InterfaceAddress } from '../routing/prefix.ts';
import { type CommandResult, runCommand, tryCommand } from './command.ts';

/** IPv4 and TCP headers; IPv6 and TCP headers. */
const HEADERS_V4 = 40;
const HEADERS_V6 = 60;

export interface Firewall {
  readonly interfaceName: string;
  readonly mtu: number;
  /** Segments are clamped to the MTUs of routes too, where these are smaller. */
  readonly byRoute?: boolean;
  /** With a default route: the tunnel's own addresses, not reachable but through it. */
  readonly shielded: readonly InterfaceAddress[];
  /** Mark of our datagrams to restore on their answers. */
  readonly mark: number | undefined;
}

/** A table that is replaced as a whole. */
export interface NftTable {
  /** From `tableName`. */
  readonly name: string;
  /** What stands between the braces: chains, sets, counters. */
  readonly body: string;
  /** What is missing without it, a sentence, if that is no reason to go without routes. */
  readonly without?: string;
}

/** Name of the table, with a suffix of one of several. nftables takes few characters in one; the others become their code. */
export function tableName(interfaceName: string, suffix = ''): string {
  const encode = (character: string): string => `_${character.codePointAt(0)!.toString(16)}_`;
  return `causeway-${interfaceName.replace(/[^A-Za-z0-9.-]/gu, encode)}${suffix && `-${suffix}`}`;
}

/** The text of `nft -f`: creates the table anew, whether it existed or not. */
export function encodeTable({ name, body }: NftTable): string {
  return `table inet ${name} {}\ndelete table inet ${name}\ntable inet ${name} {\n${body}\n}\n`;
}

/** The tunnel's own table. */
export function firewallTable(firewall: Firewall): NftTable {
  const name = `"${firewall.interfaceName}"`;
  const clamp = (direction: 'iifname' | 'oifname'): string[] => [
    clampRule(`${direction} ${name}`, 4, firewall.mtu),
    clampRule(`${direction} ${name}`, 6, firewall.mtu),
  ];
  const chains = [
    chain('forward', 'filter hook forward priority mangle', [
      ...clamp('oifname'),
      ...clamp('iifname'),
      ...(firewall.byRoute === true ? clampsByRoute(name) : []),
    ]),
  ];
  if (firewall.shielded.length > 0) {
    const rules = firewall.shielded.map((address) => {
      const family = address.family === 4 ? 'ip' : 'ip6';
      const to = `${family} daddr ${formatAddress(address.address)}`;
      return `iifname != ${name} ${to} fib saddr type != local drop`;
    });
    chains.push(chain('preraw', 'filter hook prerouting priority raw', rules));
  }
  if (firewall.mark !== undefined) {
    chains.push(
      chain('premangle', 'filter hook prerouting priority mangle', [
        `meta l4proto udp ct mark ${firewall.mark} meta mark set ct mark`,
      ]),
      chain('postmangle', 'filter hook postrouting priority mangle', [
        `meta l4proto udp meta mark ${firewall.mark} ct mark set meta mark`,
      ]),
    );
  }
  return { name: tableName(firewall.interfaceName), body: chains.flat().join('\n') };
}

/**
 * The table of a default route into the tunnel that forwarded packets alone follow. Clamping by route asks as
 * the host itself, and does not find it: what comes out of the tunnel from where the host itself goes by
 * another way is clamped to the MTU of that route, for the answer goes back into the tunnel.
 *
 * Before routing, because the kernel tells of no interface in the forward hook before Linux 6.11; a table of
 * its own, because some kernels do not have `fib` at all.
 *
 * @param mtus by family; none = no table
 */
export function outsideTables(
  interfaceName: string,
  mtus: Readonly<Partial<Record<Family, number>>>,
): NftTable[] {
  const rules = ([4, 6] as const).flatMap((family) => {
    const mtu = mtus[family];
    const isOutside = ` fib saddr oifname != "${interfaceName}"`;
    return mtu === undefined
      ? []
      : [clampRule(`iifname "${interfaceName}"`, family, mtu, isOutside)];
  });
  if (rules.length === 0) return [];
  return [
    {
      name: tableName(interfaceName, 'outside'),
      body: chain('premangle', 'filter hook prerouting priority mangle', rules).join('\n'),
      without: "TCP's segment size is not clamped to what the path of Internet traffic carries.",
    },
  ];
}

/**
 * Puts a table in place. `path` is where its text is written for `nft` to read.
 *
 * @throws CausewayError COMMAND_MISSING, COMMAND_FAILED, PERMISSION
 */
export async function installTable(table: NftTable, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, encodeTable(table), { mode: 0o600 });
  try {
    await runCommand('nft', ['-f', path]);
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Removes a table by its name; quiet if there is none, or no `nft`.
 *
 * @throws CausewayError COMMAND_FAILED when it is still there
 */
export async function removeTable(name: string): Promise<void> {
  const { code, stderr } = await tryTable('delete', name);
  // What `nft` says of a table that is not there depends on its version.
  if (code === 0 || (await tryTable('list', name)).code !== 0) return;
  const text = `The nftables table ${name} could not be removed: ${stderr.trim().split('\n')[0]}`;
  throw new CausewayError('COMMAND_FAILED', text);
}

async function tryTable(what: 'delete' | 'list', name: string): Promise<CommandResult> {
  return tryCommand('nft', [what, 'table', 'inet', name]).catch(() => {
    // Without nft there was never a table.
    return { code: 1, stdout: '', stderr: '' };
  });
}

/** By the smaller MTU of the routes to the destination and back to the source. Never raised. */
function clampsByRoute(name: string): string[] {
  return ['oifname', 'iifname'].map((direction) => {
    return `${direction} ${name} tcp flags syn / syn,rst tcp option maxseg size set rt mtu`;
  });
}

/** @param more a match that is asked of SYNs only */
function clampRule(where: string, family: Family, mtu: number, more = ''): string {
  const size = mtu - (family === 4 ? HEADERS_V4 : HEADERS_V6);
  return (
    `${where} meta nfproto ipv${family} tcp flags syn / syn,rst${more} ` +
    `tcp option maxseg size > ${size} tcp option maxseg size set ${size}`
  );
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [
    `  chain ${name} {`,
    `    type ${hook}; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
}
