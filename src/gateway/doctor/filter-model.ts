/**
 * Rules of the host's packet filters as this program understands them, whichever tool wrote them:
 * chains, and for each rule what it matches and what it does with a match. Pure.
 *
 * A match that depends on what a probe leaves open (a port, an address list, a mark) is `maybe`.
 */
import { parseAddress } from '../../routing/address.ts';
import { containsAddress, parsePrefix } from '../../routing/prefix.ts';

export type Ternary = 'yes' | 'no' | 'maybe';

/** A packet of which is known what is written here. */
export interface ProbePacket {
  readonly family: 4 | 6;
  readonly in: string | undefined;
  readonly out: string | undefined;
  readonly source: Uint8Array | undefined;
  readonly destination: Uint8Array | undefined;
  /** IP protocol number. */
  readonly protocol: number | undefined;
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  /** Of its connection. */
  readonly state: 'new' | 'established';
}

export type Matcher = (packet: ProbePacket) => Ternary;

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  /** In a chain for addresses: the connection's addresses become others, and the chain is done. */
  | { readonly kind: 'rewrite'; readonly rule: string };

export interface FilterRule {
  /** All of them must match. */
  readonly matchers: readonly Matcher[];
  /** Undefined: it counts or logs, and the next rule is asked. */
  readonly verdict: Verdict | undefined;
}

export interface FilterChain {
  /** Which tool's words its rules are in: the remedy is a command of that tool. */
  readonly tool: 'nft' | 'iptables' | 'iptables-legacy';
  /** `ip`, `ip6`, `inet`, … as nft calls them. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Of a base chain: where in the kernel it is asked. */
  readonly hook: string | undefined;
  /** `filter`, `nat`, `route`: a chain for addresses sees only a connection's first packet. */
  readonly type: string | undefined;
  /** What happens at its end; undefined for a chain that others jump to. */
  readonly policy: 'accept' | 'drop' | undefined;
  readonly rules: readonly FilterRule[];
}

/** Chains are asked for packets of a family, or of both. */
export function concerns({ family }: FilterChain, version: 4 | 6): boolean {
  return family === 'inet' || family === (version === 4 ? 'ip' : 'ip6');
}

/** Base chains at these hooks. Those for addresses see a connection's first packet only, and drop nothing by custom. */
export function atHooks(chains: readonly FilterChain[], ...hooks: string[]): FilterChain[] {
  return chains.filter(({ hook, type }) => hooks.includes(hook ?? '') && type !== 'nat');
}

/** Of the chain of that name in the same table. */
export function chainKey({ tool, family, table }: FilterChain, name: string): string {
  return `${tool} ${family} ${table} ${name}`;
}

export function not(result: Ternary): Ternary {
  if (result === 'maybe') return 'maybe';
  return result === 'yes' ? 'no' : 'yes';
}

export const MAYBE: Matcher = () => 'maybe';

/** The least certain of all: one `no` decides. */
export function all(results: Iterable<Ternary>): Ternary {
  let outcome: Ternary = 'yes';
  for (const result of results) {
    if (result === 'no') return 'no';
    if (result === 'maybe') outcome = 'maybe';
  }
  return outcome;
}

/** One `yes` decides. */
export function any(results: Iterable<Ternary>): Ternary {
  let outcome: Ternary = 'no';
  for (const result of results) {
    if (result === 'yes') return 'yes';
    if (result === 'maybe') outcome = 'maybe';
  }
  return outcome;
}

/**
 * Whether a name is the pattern's.
 *
 * @param star what stands for the rest of the name: `*` in nftables, `+` in iptables
 */
export function matchesInterface(
  name: string | undefined,
  pattern: string,
  star: '*' | '+',
): Ternary {
  if (pattern === star) return 'yes';
  if (name === undefined) return 'maybe';
  const wild = pattern.endsWith(star);
  const same = wild ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  return same ? 'yes' : 'no';
}

/** Whether an address is in `ADDRESS[/LENGTH|/MASK]`. */
export function matchesAddress(address: Uint8Array | undefined, text: string): Ternary {
  const prefix = parsePrefix(withLength(text));
  if (prefix === undefined) return 'maybe';
  if (prefix.length === 0) return 'yes';
  if (address === undefined) return 'maybe';
  return containsAddress(prefix, address) ? 'yes' : 'no';
}

/** `10.0.0.0/255.0.0.0` → `10.0.0.0/8`. */
function withLength(text: string): string {
  const [address, mask] = text.split('/');
  const parsed = mask?.includes('.') ? parseAddress(mask) : undefined;
  if (parsed === undefined) return text;
  const bits = parsed.address.reduce(
    (sum, byte) => sum + byte.toString(2).replaceAll('0', '').length,
    0,
  );
  return `${address}/${bits}`;
}
