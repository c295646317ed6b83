/** A captured packet in one line, in the manner of tcpdump. */
import type { NamedPacket } from '../gateway/capture/capture-client.ts';
import { formatAddress } from '../routing/address.ts';
import { IPV4_DESTINATION, IPV4_SOURCE, IPV6_DESTINATION, IPV6_SOURCE } from '../routing/packet.ts';
import { findTransport, foundProtocol, foundTransport } from '../routing/packet-filter.ts';

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;

/** Bits of TCP's flags by the letters that tcpdump has for them, in its order. */
const FLAGS = [
  [2, 'S'],
  [1, 'F'],
  [4, 'R'],
  [8, 'P'],
  [16, '.'],
] as const;

const ICMP_TYPES: ReadonlyMap<number, string> = new Map([
  [0, 'echo reply'],
  [3, 'unreachable'],
  [5, 'redirect'],
  [8, 'echo request'],
  [11, 'time exceeded'],
]);
const ICMPV6_TYPES: ReadonlyMap<number, string> = new Map([
  [1, 'unreachable'],
  [2, 'packet too big'],
  [3, 'time exceeded'],
  [128, 'echo request'],
  [129, 'echo reply'],
]);

/** `12:34:56.789012 in  b  IP 10.1.0.10.40000 > 10.2.0.10.443: tcp [S], length 0`. */
export function packetLine(packet: NamedPacket): string {
  const { direction, peerName = '-' } = packet;
  const verdict = verdictText(packet);
  const end = verdict === 'accepted' ? '' : ` (${verdict})`;
  return `${timeText(packet.time)} ${direction.padEnd(3)} ${peerName}  ${summary(packet)}${end}`;
}

/** `accepted`, `dropped: out_no_route`, `waits for a session`. */
export function verdictText({ verdict }: Pick<NamedPacket, 'verdict'>): string {
  if (verdict === 'accepted') return verdict;
  return verdict === 'waiting' ? 'waits for a session' : `dropped: ${verdict}`;
}

/** What is in the packet, as far as it is here. */
export function summary({ bytes, length }: Pick<NamedPacket, 'bytes' | 'length'>): string {
  const version = bytes.length >= 20 ? bytes[0]! >>> 4 : 0;
  if (version !== 4 && (version !== 6 || bytes.length < 40))
    return `no IP packet, length ${length}`;
  const isIpv4 = version === 4;
  const size = isIpv4 ? 4 : 16;
  const at = (offset: number): string => formatAddress(bytes.subarray(offset, offset + size));
  const source = at(isIpv4 ? IPV4_SOURCE : IPV6_SOURCE);
  const destination = at(isIpv4 ? IPV4_DESTINATION : IPV6_DESTINATION);
  findTransport(bytes, 0, bytes.length);
  const protocol = foundProtocol();
  const transport = foundTransport();
  const name = isIpv4 ? 'IP' : 'IP6';
  const rest = transport < 0 ? 0 : length - transport;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hasPorts = (protocol === TCP || protocol === UDP) && transport >= 0;
  if (hasPorts && transport + 4 <= bytes.length) {
    const from = `${source}.${view.getUint16(transport)}`;
    const to = `${destination}.${view.getUint16(transport + 2)}`;
    const what =
      protocol === UDP ? `udp, length ${Math.max(0, rest - 8)}` : tcpText(view, transport, rest);
    return `${name} ${from} > ${to}: ${what}`;
  }
  return `${name} ${source} > ${destination}: ${otherText(bytes, protocol, transport, rest, length)}`;
}

function tcpText(view: DataView, at: number, rest: number): string {
  if (at + 20 > view.byteLength) return 'tcp';
  const flags = view.getUint8(at + 13);
  const letters = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter);
  const payload = Math.max(0, rest - (view.getUint8(at + 12) >>> 4) * 4);
  const seq = `seq ${view.getUint32(at + 4)}`;
  const ack = (flags & 16) === 0 ? '' : `, ack ${view.getUint32(at + 8)}`;
  return `tcp [${letters.join('') || 'none'}], ${seq}${ack}, length ${payload}`;
}

function otherText(
  bytes: Uint8Array,
  protocol: number,
  transport: number,
  rest: number,
  length: number,
): string {
  if (transport < 0) return `fragment of protocol ${protocol}, length ${length}`;
  const type = bytes[transport];
  if (type !== undefined && (protocol === ICMP || protocol === ICMPV6)) {
    const types = protocol === ICMP ? ICMP_TYPES : ICMPV6_TYPES;
    const what = types.get(type) ?? `type ${type}`;
    return `${protocol === ICMP ? 'icmp' : 'icmp6'} ${what}, length ${rest}`;
  }
  return `protocol ${protocol}, length ${rest}`;
}

/** Of the day, in the zone of this host. */
function timeText(time: number): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const microseconds = Math.floor((time % 1_000) * 1_000);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${clock}.${String(microseconds).padStart(6, '0')}`;
}
