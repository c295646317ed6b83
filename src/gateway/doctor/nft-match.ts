/**
 * Matches of nftables (libnftables-json(5), EXPRESSIONS) against a packet of which something is known.
 * What is not known here is `maybe`. Pure.
 */
import { type JsonObject, stringOf } from '../../tun/command.ts';
import {
  all,
  any,
  MAYBE,
  type Matcher,
  matchesAddress,
  matchesInterface,
  not,
  type ProbePacket,
  type Ternary,
} from './filter-model.ts';
import { protocolNumber } from './protocol-numbers.ts';

/** Of a `match` statement. */
export function matcherOf({ op, left, right }: JsonObject): Matcher {
  const matcher: Matcher = (packet) => compare(packet, left, right);
  if (op === '!=') return (packet) => not(matcher(packet));
  return op === '==' || op === 'in' ? matcher : MAYBE;
}

/** Whether what `left` reads of the packet is `right`: a value, a range, a prefix or a set of them. */
export function compare(packet: ProbePacket, left: unknown, right: unknown): Ternary {
  if (right !== null && typeof right === 'object' && !Array.isArray(right) && 'set' in right) {
    const { set } = right as { set: unknown };
    return any((Array.isArray(set) ? set : [set]).map((one) => compare(packet, left, one)));
  }
  if (Array.isArray(right)) return any(right.map((one) => compare(packet, left, one)));
  if (typeof right === 'string' && right.startsWith('@')) return 'maybe';
  const { meta, payload, ct, concat } = (left ?? {}) as Readonly<Record<string, JsonObject>>;
  if (Array.isArray(concat)) {
    const parts = (right as { concat?: unknown } | null)?.concat;
    if (!Array.isArray(parts)) return 'maybe';
    return all(concat.map((part, i) => compare(packet, part, parts[i])));
  }
  if (meta !== undefined) return compareMeta(packet, stringOf(meta, 'key'), right);
  if (payload !== undefined) return comparePayload(packet, payload, right);
  if (ct !== undefined) return compareConnection(packet, stringOf(ct, 'key'), right);
  return 'maybe';
}

function compareMeta(packet: ProbePacket, key: string | undefined, right: unknown): Ternary {
  switch (key) {
    case 'iifname':
    case 'iif':
      return typeof right === 'string' ? matchesInterface(packet.in, right, '*') : 'maybe';
    case 'oifname':
    case 'oif':
      return typeof right === 'string' ? matchesInterface(packet.out, right, '*') : 'maybe';
    case 'nfproto':
      return right === `ipv${packet.family}` ? 'yes' : 'no';
    case 'protocol':
      return right === (packet.family === 4 ? 'ip' : 'ip6') ? 'yes' : 'no';
    case 'l4proto':
      return sameNumber(packet.protocol, right);
    default:
      return 'maybe';
  }
}

function comparePayload(packet: ProbePacket, payload: JsonObject, right: unknown): Ternary {
  const protocol = stringOf(payload, 'protocol');
  const field = stringOf(payload, 'field');
  if (protocol === 'ip' || protocol === 'ip6') {
    if (packet.family !== (protocol === 'ip' ? 4 : 6)) return 'no';
    if (field === 'saddr') return compareAddress(packet.source, right);
    if (field === 'daddr') return compareAddress(packet.destination, right);
    const isProtocol = field === 'protocol' || field === 'nexthdr';
    return isProtocol ? sameNumber(packet.protocol, right) : 'maybe';
  }
  if (protocol === undefined) return 'maybe';
  if (protocol !== 'th' && sameNumber(packet.protocol, protocol) === 'no') return 'no';
  const port = { sport: packet.sourcePort, dport: packet.destinationPort }[field ?? ''];
  return port === undefined ? 'maybe' : comparePort(port, right);
}

function comparePort(port: number, right: unknown): Ternary {
  const range = (right as { range?: unknown } | null)?.range;
  if (Array.isArray(range)) {
    return port >= Number(range[0]) && port <= Number(range[1]) ? 'yes' : 'no';
  }
  return typeof right === 'number' ? (port === right ? 'yes' : 'no') : 'maybe';
}

function compareAddress(address: Uint8Array | undefined, right: unknown): Ternary {
  if (typeof right === 'string') return matchesAddress(address, right);
  const prefix = (right as { prefix?: JsonObject } | null)?.prefix;
  return prefix === undefined ? 'maybe' : matchesAddress(address, `${prefix.addr}/${prefix.len}`);
}

function compareConnection(packet: ProbePacket, key: string | undefined, right: unknown): Ternary {
  if (key === 'state') return right === packet.state ? 'yes' : 'no';
  // Nobody rewrites the addresses of what a probe stands for.
  if (key === 'status' && (right === 'dnat' || right === 'snat')) return 'no';
  return 'maybe';
}

function sameNumber(known: number | undefined, right: unknown): Ternary {
  const wanted = typeof right === 'number' ? right : protocolNumber(String(right));
  if (known === undefined || wanted === undefined) return 'maybe';
  return known === wanted ? 'yes' : 'no';
}
