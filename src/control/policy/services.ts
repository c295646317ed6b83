/** Protocols, ports and ICMP types as policies name them (IANA's names and numbers). */
import type { Family } from './address-set.ts';

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;
export const SCTP = 132;

/** What a name in a policy stands for. `icmp` is ICMP with IPv4 and ICMPv6 with IPv6. */
export const PROTOCOLS = {
  tcp: [TCP],
  udp: [UDP],
  icmp: [ICMP, ICMPV6],
  sctp: [SCTP],
  gre: [47],
  esp: [50],
  ah: [51],
  ospf: [89],
  vrrp: [112],
} as const satisfies Record<string, readonly number[]>;

export type ProtocolName = keyof typeof PROTOCOLS;
export const PROTOCOL_NAMES = Object.keys(PROTOCOLS) as readonly ProtocolName[];

const WITH_PORTS: ReadonlySet<number> = new Set([TCP, UDP, SCTP]);

export function hasPorts(protocol: number): boolean {
  return WITH_PORTS.has(protocol);
}

export function isIcmp(protocol: number): boolean {
  return protocol === ICMP || protocol === ICMPV6;
}

/**
 * ICMP messages that open a flow. Answers belong to the flow that they answer, and errors to the one
 * that they are about; no others pass the kernel's connection tracking.
 */
export const ICMP_TYPES = {
  'echo-request': { 4: 8, 6: 128 },
  'timestamp-request': { 4: 13, 6: undefined },
  'info-request': { 4: 15, 6: undefined },
  'address-mask-request': { 4: 17, 6: undefined },
  'node-information-query': { 4: undefined, 6: 139 },
} as const satisfies Record<string, Readonly<Record<Family, number | undefined>>>;

export type IcmpName = keyof typeof ICMP_TYPES;
export const ICMP_NAMES = Object.keys(ICMP_TYPES) as readonly IcmpName[];

/** `tcp`, `icmp`, `proto 99`. */
export function formatProtocol(protocol: number): string {
  const named = PROTOCOL_NAMES.find((name) =>
    (PROTOCOLS[name] as readonly number[]).includes(protocol),
  );
  return named ?? `protocol ${protocol}`;
}

export type PortRange = [first: number, last: number];

/** `80`, `8000-8100`; undefined for what is none. */
export function parsePorts(text: string): PortRange | undefined {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= 65_535 ? [first, last] : undefined;
}

/** Sorts ranges and joins those that overlap or touch. */
export function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before === undefined || first > before[1] + 1) merged.push([first, last]);
    else if (last > before[1]) merged[merged.length - 1] = [before[0], last];
  }
  return merged;
}
