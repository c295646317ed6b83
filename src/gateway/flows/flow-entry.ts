/**
 * A line of the flow log: what each field means is in docs/flow-log.md. Pure.
 */

import { formatProtocol, hasPorts } from '../../control/policy/services.ts';
import { formatAddress } from '../../routing/address.ts';
import { type ConntrackRecord, STATUS, type Tuple } from '../../tun/conntrack-messages.ts';
import type { DeniedFlow } from '../policy/policy-enforcer.ts';
import type { Ends } from './flow-sides.ts';

/**
 * `end`: the kernel has forgotten the connection. `active`: it goes on, figures so far. `open`: it went
 * on when the log ended. `denied`: the policy let no packet of it through. `gap`: records are missing.
 */
export type FlowEvent = 'end' | 'active' | 'open' | 'denied' | 'gap';

export interface Address {
  readonly address: string;
  /** Null for protocols without ports. */
  readonly port: number | null;
}

export interface FlowEntry {
  /** ISO 8601, when the line was made. */
  readonly time: string;
  readonly event: Exclude<FlowEvent, 'gap'>;
  readonly verdict: 'allowed' | 'denied';
  readonly protocol: string;
  readonly source: Address;
  readonly destination: Address;
  /** Names; null = the address belongs to no connector's prefix. */
  readonly connectors: { readonly source: string | null; readonly destination: string | null };
  readonly icmp: { readonly type: number; readonly code: number; readonly id: number } | null;
  /** What others rewrote the addresses to on this host; null = nothing. */
  readonly translated: { readonly source: Address; readonly destination: Address } | null;
  /** Whether any packet came back. */
  readonly answered: boolean;
  /** Null = not counted: the connection began before counting did. */
  readonly sent: Traffic | null;
  readonly received: Traffic | null;
  /** ISO 8601; null = not known. */
  readonly start: string | null;
  readonly end: string | null;
  /** Number of the policy's rule that denied it; null = its default, or it was allowed. */
  readonly rule: number | null;
}

export interface Traffic {
  readonly packets: number;
  /** Null = only packets are counted. */
  readonly bytes: number | null;
}

/** Records that are missing at this place. */
export interface GapEntry {
  readonly time: string;
  readonly event: 'gap';
  /** Null = the kernel does not say how many. */
  readonly records: number | null;
  readonly reason: string;
}

/** A connection as the kernel tells it. @param now ms since the Unix epoch */
export function entryOf(
  event: 'end' | 'active' | 'open',
  record: ConntrackRecord,
  ends: Ends,
  now: number,
): FlowEntry {
  const { original, reply, status, counted, start, stop } = record;
  const translated = (status & (STATUS.sourceNat | STATUS.targetNat)) !== 0;
  const { icmpType, icmpCode, icmpId } = record;
  return {
    time: isoTime(now),
    event,
    verdict: 'allowed',
    protocol: formatProtocol(record.protocol),
    source: sourceOf(record, original),
    destination: destinationOf(record, original),
    connectors: connectorsOf(ends),
    icmp: icmpType < 0 ? null : { type: icmpType, code: icmpCode, id: icmpId },
    translated: translated
      ? { source: destinationOf(record, reply), destination: sourceOf(record, reply) }
      : null,
    answered: wasAnswered(record),
    sent: counted ? { packets: record.packetsOut, bytes: record.bytesOut } : null,
    received: counted ? { packets: record.packetsBack, bytes: record.bytesBack } : null,
    start: start === 0 ? null : isoTime(start),
    end: event !== 'end' ? null : isoTime(stop === 0 ? now : stop),
    rule: null,
  };
}

/** A refused TCP connection has a packet back, but never the bit. */
export function wasAnswered({ status, packetsBack }: ConntrackRecord): boolean {
  return (status & STATUS.seenReply) !== 0 || packetsBack > 0;
}

/** Of a flow that the policy denied: the source and its first packets are all that there is. */
export function deniedEntry(denied: DeniedFlow, ends: Ends): FlowEntry {
  const { at, source, destination, protocol, port = null, packets, rule = null } = denied;
  const icmp = protocol === 'icmp' || protocol === 'icmpv6';
  return {
    time: isoTime(at),
    event: 'denied',
    verdict: 'denied',
    protocol,
    source: { address: source, port: null },
    destination: { address: destination, port: icmp ? null : port },
    connectors: connectorsOf(ends),
    icmp: null,
    translated: null,
    answered: false,
    sent: { packets, bytes: null },
    received: { packets: 0, bytes: 0 },
    start: isoTime(at),
    end: null,
    rule,
  };
}

function connectorsOf({ source, destination }: Ends): FlowEntry['connectors'] {
  return { source: source?.connector ?? null, destination: destination?.connector ?? null };
}

function sourceOf({ family, protocol }: ConntrackRecord, tuple: Tuple): Address {
  const port = hasPorts(protocol) ? tuple.sourcePort : null;
  return { address: addressText(family, tuple.source), port };
}

function destinationOf({ family, protocol }: ConntrackRecord, tuple: Tuple): Address {
  const port = hasPorts(protocol) ? tuple.destinationPort : null;
  return { address: addressText(family, tuple.destination), port };
}

export function addressText(family: 4 | 6, bytes: Uint8Array): string {
  return formatAddress(family === 4 ? bytes.subarray(0, 4) : bytes);
}

export function isoTime(unix: number): string {
  return new Date(unix).toISOString();
}
