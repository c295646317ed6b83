/**
 * Whether somebody else relies on this host's forwarding, which a gateway switched on and would switch
 * off again at its end: containers and virtual machines (Docker, libvirt) that were started meanwhile
 * found it on already, so that nothing of the setting tells of them.
 *
 * What does tell is a rule that gives forwarded packets the host's own address. Where there was none of
 * others when forwarding was switched on, and there is one at the end, somebody came and forwards; the
 * settings of that family stay then. Where there was one before, it says nothing. Whoever forwards
 * without such rules is not seen.
 */
import type { Family } from '../routing/address.ts';
import { FORWARDING, readSysctl } from '../tun/sysctl.ts';
import {
  all,
  concerns,
  type FilterChain,
  type FilterRule,
  type ProbePacket,
} from './doctor/filter-model.ts';

/** Masquerading and its kind, in the words of nftables and of iptables. */
const SOURCE_REWRITES = /\b(masquerade|snat|netmap)\b/i;

/** Milliseconds for which the host's rules are taken to be the same: settings are set back together. */
const FRESH = 5_000;

/** The family whose forwarding the setting is a part of; undefined = of none. */
export function forwardingOf(setting: string): Family | undefined {
  if (/^net\/ipv4\/(ip_forward|conf\/[^/]+\/(forwarding|accept_redirects))$/.test(setting))
    return 4;
  if (/^net\/ipv6\/conf\/[^/]+\/(forwarding|accept_ra)$/.test(setting)) return 6;
  return undefined;
}

/** The families of which a rule rewrites sources. Pure. */
export function forwardersIn(chains: readonly FilterChain[]): ReadonlySet<Family> {
  const families = new Set<Family>();
  for (const chain of chains) {
    for (const rule of chain.rules) {
      const { verdict } = rule;
      if (verdict?.kind !== 'rewrite' || !SOURCE_REWRITES.test(verdict.rule)) continue;
      for (const family of [4, 6] as const) {
        if (concerns(chain, family) && !isOfOther(rule, family)) families.add(family);
      }
    }
  }
  return families;
}

/** Whether a rule matches packets of the other family only, as those may of a table of both. */
function isOfOther({ matchers }: FilterRule, family: Family): boolean {
  const matches = (packet: ProbePacket): boolean =>
    all(matchers.map((matcher) => matcher(packet))) !== 'no';
  return !matches(anyOf(family)) && matches(anyOf(family === 4 ? 6 : 4));
}

/** A packet of which nothing else is known. */
function anyOf(family: Family): ProbePacket {
  return {
    family,
    in: undefined,
    out: undefined,
    source: undefined,
    destination: undefined,
    protocol: undefined,
    sourcePort: undefined,
    destinationPort: undefined,
    state: 'new',
  };
}

/**
 * Of a setting that is about to be changed: the family that nobody forwards here, so that whoever does
 * at the end has come meanwhile. Undefined for any other setting, if it is on already, and if the rules
 * of the host cannot be read. To be asked before the value to set back is read.
 */
export async function unforwarded(setting: string): Promise<Family | undefined> {
  const family = ([4, 6] as const).find((one) => FORWARDING[one] === setting);
  if (family === undefined || (await readSysctl(setting)) !== '0') return undefined;
  const { families, isWhole } = await readForwarders();
  return isWhole && !families.has(family) ? family : undefined;
}

let last: { readonly at: number; readonly families: Promise<ReadonlySet<Family>> } | undefined;

/** Of these families, which nobody forwarded before, those that somebody forwards now. */
export async function forwardedMeanwhile(among: readonly Family[]): Promise<ReadonlySet<Family>> {
  if (among.length === 0) return new Set();
  const now = performance.now();
  if (last === undefined || now - last.at > FRESH) {
    last = { at: now, families: readForwarders().then(({ families }) => families) };
  }
  const families = await last.families;
  return new Set(among.filter((family) => families.has(family)));
}

async function readForwarders() {
  // Loaded when it is needed: most gateways find forwarding on, or never end.
  const { readHostFilters } = await import('./doctor/host-filters.ts');
  const { chains, unread } = await readHostFilters();
  return { families: forwardersIn(chains), isWhole: unread === undefined };
}
