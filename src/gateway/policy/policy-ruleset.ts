/**
 * A replica's compiled policy as text for `nft -f`: one table, replaced as a whole.
 *
 * A packet is judged by its connection's first packet, which the kernel's connection tracking keeps
 * (`ct original`): answers, and errors about it, share its verdict, and a new policy judges the
 * connections that are open as well. What was allowed is remembered for a minute by that tuple, so that
 * of a connection's packets almost none meets the rules; where there is no room, the rules are met.
 *
 * Gateways ask each other about flows (gateway/diagnosis) whatever the policy says: from mesh IP to mesh IP,
 * to one port, and only what begins or ends at the host itself. One that answers nobody, or cannot because
 * somebody else has the port, asks all the same; what others open to that port is judged there like any
 * other connection.
 */

import type { MeshAddresses } from '../../control/netmap.ts';
import {
  type AddressRange,
  type AddressSet,
  ALL_ADDRESSES,
  bytesOf,
  FAMILIES,
  type Family,
} from '../../control/policy/address-set.ts';
import type { CompiledRule, RuleSet } from '../../control/policy/compile.ts';
import {
  ICMP,
  ICMP_TYPES,
  ICMPV6,
  type PortRange,
  SCTP,
  TCP,
  UDP,
} from '../../control/policy/services.ts';
import { formatAddress } from '../../routing/address.ts';
import { tableName } from '../../tun/nftables.ts';
import { DIAGNOSIS_PORT } from '../diagnosis/port.ts';

/** Connections that are remembered as allowed, and seconds that they are. */
const MAX_ALLOWED = 262_144;
const ALLOWED_FOR = 60;
/** Flows that are remembered for the log, and seconds until one is told again. */
export const MAX_NOTED = 1_024;
const NOTED_FOR = 60;

export const COUNTERS = ['denied', 'invalid', 'untracked', 'logged', 'diagnosis'] as const;
export type CounterName = (typeof COUNTERS)[number];

const SAYS: Readonly<Record<Family, { readonly ip: string; readonly icmp: number }>> = {
  4: { ip: 'ip', icmp: ICMP },
  6: { ip: 'ip6', icmp: ICMPV6 },
};

/** Beside the interface's other table. */
export function policyTableName(interfaceName: string): string {
  return `${tableName(interfaceName)}/policy`;
}

/** Names of the sets with the flows to be logged: those with a port or ICMP type, and the others. */
export function notedSets(family: Family): readonly [string, string] {
  return [`noted${family}`, `noted${family}-portless`];
}

/** Of gateways' questions to each other, what may pass. */
export interface Questions {
  /** That all mesh IPs are from, as prefixes. */
  readonly meshRanges: MeshAddresses;
  /** Our mesh IPs, as prefixes. */
  readonly mesh: MeshAddresses;
  /** Whether this gateway answers those of others. */
  readonly answers: boolean;
}

export function encodeRuleset(interfaceName: string, rules: RuleSet, questions: Questions): string {
  const table = `inet ${policyTableName(interfaceName)}`;
  const name = `"${interfaceName}"`;
  const sets = new NamedSets();
  const chains = FAMILIES.flatMap((family) => familyChains(family, rules, sets));
  const hook = (chain: string, judge: string, ...ways: string[]): string[] => [
    `  chain ${chain} {`,
    `    type filter hook ${chain} priority filter; policy accept;`,
    ...ways.map((way) => `    ${way} ${name} goto ${judge}`),
    '  }',
  ];
  return [
    `table ${table} {}`,
    `delete table ${table}`,
    `table ${table} {`,
    ...COUNTERS.map((counter) => `  counter ${counter} {}`),
    ...FAMILIES.flatMap(flowSets),
    ...sets.lines,
    ...chains,
    '  chain judge {',
    '    meta nfproto vmap { ipv4 : goto judge4, ipv6 : goto judge6 }',
    '  }',
    ...chain('ours', [...FAMILIES.map((family) => diagnosisLine(family, questions)), 'goto judge']),
    ...hook('forward', 'judge', 'iifname', 'oifname'),
    ...hook('input', 'ours', 'iifname'),
    ...hook('output', 'ours', 'oifname'),
    '}',
    '',
  ].join('\n');
}

function diagnosisLine(family: Family, { meshRanges, mesh, answers }: Questions): string {
  const { ip } = SAYS[family];
  const name = family === 4 ? 'ipv4' : 'ipv6';
  const range = meshRanges[name];
  const from = answers ? range : mesh[name];
  const ends = `ct original ${ip} saddr ${from} ct original ${ip} daddr ${range}`;
  return `meta l4proto ${TCP} ${ends} ct original proto-dst ${DIAGNOSIS_PORT} counter name "diagnosis" accept`;
}

function flowSets(family: Family): string[] {
  const addresses = `ipv${family}_addr . ipv${family}_addr . inet_proto`;
  const limits = (size: number, seconds: number): string =>
    `flags dynamic,timeout; size ${size}; timeout ${seconds}s;`;
  const [noted, portless] = notedSets(family);
  return [
    `  set allowed${family} { type ${addresses} . inet_service . inet_service; ${limits(MAX_ALLOWED, ALLOWED_FOR)} }`,
    `  set ${noted} { type ${addresses} . inet_service; ${limits(MAX_NOTED, NOTED_FOR)} counter; }`,
    `  set ${portless} { type ${addresses}; ${limits(MAX_NOTED, NOTED_FOR)} counter; }`,
  ];
}

function familyChains(
  family: Family,
  { rules, default: verdict }: RuleSet,
  sets: NamedSets,
): string[] {
  const { ip, icmp } = SAYS[family];
  const addresses = `ct original ${ip} saddr . ct original ${ip} daddr . meta l4proto`;
  /** Those of which a connection has a port, or an ICMP type and id. nft must be told one at a time. */
  const withPorts = [TCP, UDP, SCTP, icmp];
  const [noted, portless] = notedSets(family);
  const tuple = `${addresses} . ct original proto-src . ct original proto-dst`;
  return [
    ...chain(`allow${family}`, [
      ...withPorts.map(
        (protocol) => `meta l4proto ${protocol} add @allowed${family} { ${tuple} } accept`,
      ),
      'accept',
    ]),
    ...chain(`note${family}`, [
      ...withPorts.map(
        (protocol) =>
          `meta l4proto ${protocol} add @${noted} { ${addresses} . ct original proto-dst counter } return`,
      ),
      `add @${portless} { ${addresses} counter }`,
    ]),
    ...chain(`log${family}`, ['counter name "logged"', `goto note${family}`]),
    ...chain(`deny${family}`, ['counter name "denied"', `jump note${family}`, 'drop']),
    ...chain(`error${family}`, [
      ...rules
        .filter(({ action }) => action !== 'log')
        .flatMap((rule) => errorLines(family, rule, sets)),
      verdict === 'allow' ? 'accept' : DENY_ERROR,
    ]),
    ...chain(`judge${family}`, [
      `meta l4proto ${icmp} ct state related goto error${family}`,
      ...withPorts.map((protocol) => `meta l4proto ${protocol} ${tuple} @allowed${family} accept`),
      'ct state invalid counter name "invalid" drop',
      'ct state untracked counter name "untracked" drop',
      // What a helper of the kernel expects, such as the data connection of FTP.
      'ct status expected accept',
      ...rules.flatMap((rule) => ruleLines(family, rule, sets)),
      `goto ${verdict}${family}`,
    ]),
  ];
}

function chain(name: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, ...rules.map((rule) => `    ${rule}`), '  }'];
}

const DOES = { allow: 'goto allow', deny: 'goto deny', log: 'jump log' } as const;

const DENY_ERROR = 'counter name "denied" drop';

/** One line for each protocol; none where the family has none of the rule's addresses or types. */
function ruleLines(family: Family, rule: CompiledRule, sets: NamedSets): string[] {
  const match = matchOf(family, rule, sets);
  if (match === undefined) return [];
  const end = `counter ${DOES[rule.action]}${family} comment "${rule.number}"`;
  const { where, which, protocols } = match;
  if (protocols === undefined) return [[...where, end].join(' ')];
  return protocols.map((one) => [`meta l4proto ${one}`, ...where, ...which, end].join(' '));
}

/**
 * The same for ICMP errors, which are judged as what they are about. They are not remembered: their
 * tuple with the protocol of the error could be that of another flow.
 */
function errorLines(family: Family, rule: CompiledRule, sets: NamedSets): string[] {
  const match = matchOf(family, rule, sets);
  if (match === undefined) return [];
  const end = `${rule.action === 'allow' ? 'accept' : DENY_ERROR} comment "${rule.number}"`;
  const { where, which, protocols } = match;
  if (protocols === undefined) return [[...where, end].join(' ')];
  // nft reads ports only where it knows the packet's own protocol.
  const error = `meta l4proto ${SAYS[family].icmp}`;
  return protocols.map((one) =>
    [error, `ct original protocol ${one}`, ...where, ...which, end].join(' '),
  );
}

interface Match {
  readonly where: readonly string[];
  readonly which: readonly string[];
  /** Undefined = any. */
  readonly protocols: readonly number[] | undefined;
}

function matchOf(family: Family, rule: CompiledRule, sets: NamedSets): Match | undefined {
  const { ip } = SAYS[family];
  const from = sets.addresses(family, rule.from);
  const to = sets.addresses(family, rule.to);
  if (from === undefined || to === undefined) return undefined;
  const where = [
    ...(from === '' ? [] : [`ct original ${ip} saddr ${from}`]),
    ...(to === '' ? [] : [`ct original ${ip} daddr ${to}`]),
  ];
  if (rule.protocols.length === 0) return { where, which: [], protocols: undefined };
  const other = family === 4 ? ICMPV6 : ICMP;
  const types = rule.icmp.flatMap((name) => ICMP_TYPES[name][family] ?? []);
  if (rule.icmp.length > 0 && types.length === 0) return undefined;
  // The type is the higher byte of what stands in a port's place, the code the lower one.
  const ports =
    types.length > 0 ? types.map((type): PortRange => [type << 8, (type << 8) | 255]) : rule.ports;
  const which = ports.length === 0 ? [] : [`ct original proto-dst ${sets.ports(ports)}`];
  return { where, which, protocols: rule.protocols.filter((protocol) => protocol !== other) };
}

/** Sets that rules share, declared once for the same contents. */
class NamedSets {
  readonly lines: string[] = [];
  readonly #names = new Map<string, string>();
  /** Rules of the same addresses have the same object: a long list is written out once. */
  readonly #ofRanges = new WeakMap<readonly AddressRange[], string>();

  /** Empty text for all addresses of the family; undefined for none. */
  addresses(family: Family, set: AddressSet): string | undefined {
    const ranges = set[family];
    const [whole] = ALL_ADDRESSES[family];
    if (ranges.length === 0) return undefined;
    if (ranges[0]!.first === whole!.first && ranges[0]!.last === whole!.last) return '';
    let text = this.#ofRanges.get(ranges);
    if (text === undefined) {
      const elements = ranges.map((range) => rangeText(family, range));
      text = elements.length === 1 ? elements[0]! : this.#name(`ipv${family}_addr`, elements);
      this.#ofRanges.set(ranges, text);
    }
    return text;
  }

  ports(ranges: readonly PortRange[]): string {
    const elements = ranges.map(([first, last]) =>
      first === last ? `${first}` : `${first}-${last}`,
    );
    return elements.length === 1 ? elements[0]! : this.#name('inet_service', elements);
  }

  #name(type: string, elements: readonly string[]): string {
    const contents = elements.join(', ');
    const key = `${type} ${contents}`;
    let name = this.#names.get(key);
    if (name === undefined) {
      name = `set${this.#names.size + 1}`;
      this.#names.set(key, name);
      this.lines.push(`  set ${name} { type ${type}; flags interval; elements = { ${contents} } }`);
    }
    return `@${name}`;
  }
}

function rangeText(family: Family, { first, last }: AddressRange): string {
  const text = (value: bigint): string => formatAddress(bytesOf({ family, value }));
  return first === last ? text(first) : `${text(first)}-${text(last)}`;
}
