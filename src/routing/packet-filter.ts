/**
 * A filter expression made into one function of a packet's bytes. It is made once; calling it allocates
 * nothing. The packet may be of any contents and of any length: what is not there does not match.
 */
import {
  IPV4_DESTINATION,
  IPV4_HEADER_SIZE,
  IPV4_SOURCE,
  IPV6_DESTINATION,
  IPV6_HEADER_SIZE,
  IPV6_SOURCE,
} from './packet.ts';
import type { Direction, FilterExpression, PacketKind } from './packet-filter-syntax.ts';
import type { Prefix } from './prefix.ts';

/** Whether the packet of `length` bytes at `offset` is meant. The bytes are borrowed. */
export type PacketPredicate = (bytes: Uint8Array, offset: number, length: number) => boolean;

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const SCTP = 132;

/** Extension headers of IPv6 that are stepped over (RFC 8200 § 4), and how many. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
const MAX_EXTENSIONS = 8;

/** What `findTransport` found, until it is called again. */
let protocol = -1;
/** Of the transport header in the buffer, -1 in a fragment that has none. */
let transport = -1;

/** Fills `protocol` (-1 = no IP packet) and `transport`. */
export function findTransport(bytes: Uint8Array, offset: number, length: number): void {
  protocol = -1;
  transport = -1;
  if (length < IPV4_HEADER_SIZE) return;
  const version = bytes[offset]! >>> 4;
  if (version === 4) {
    const header = (bytes[offset]! & 15) * 4;
    if (header < IPV4_HEADER_SIZE || header > length) return;
    protocol = bytes[offset + 9]!;
    const fragment = ((bytes[offset + 6]! & 0x1f) << 8) | bytes[offset + 7]!;
    if (fragment === 0) transport = offset + header;
  } else if (version === 6 && length >= IPV6_HEADER_SIZE) {
    findBehindExtensions(bytes, offset, offset + length);
  }
}

/** Protocol number found last. */
export function foundProtocol(): number {
  return protocol;
}

/** Offset of the transport header found last, -1 if the packet has none. */
export function foundTransport(): number {
  return transport;
}

function findBehindExtensions(bytes: Uint8Array, offset: number, end: number): void {
  let next = bytes[offset + 6]!;
  let at = offset + IPV6_HEADER_SIZE;
  for (let i = 0; i < MAX_EXTENSIONS; i++) {
    if (next === FRAGMENT) {
      if (at + 8 > end) break;
      const isFirst = bytes[at + 2] === 0 && (bytes[at + 3]! & 0xf8) === 0;
      next = bytes[at]!;
      at += 8;
      if (!isFirst) {
        protocol = next;
        return;
      }
    } else if (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS) {
      if (at + 8 > end) break;
      next = bytes[at]!;
      at += (bytes[at + 1]! + 1) * 8;
    } else {
      break;
    }
  }
  protocol = next;
  if (at <= end) transport = at;
}

/** @throws nothing; the expression is as the parser made it */
export function compileFilter(expression: FilterExpression): PacketPredicate {
  switch (expression.type) {
    case 'and': {
      const [left, right] = [compileFilter(expression.left), compileFilter(expression.right)];
      return (bytes, offset, length) => left(bytes, offset, length) && right(bytes, offset, length);
    }
    case 'or': {
      const [left, right] = [compileFilter(expression.left), compileFilter(expression.right)];
      return (bytes, offset, length) => left(bytes, offset, length) || right(bytes, offset, length);
    }
    case 'not': {
      const term = compileFilter(expression.term);
      return (bytes, offset, length) => !term(bytes, offset, length);
    }
    case 'kind':
      return ofKind(expression.kind);
    case 'address':
      return ofAddress(expression.prefix, expression.direction);
    case 'port':
      return ofPorts(expression.least, expression.most, expression.direction);
    case 'protocol':
      return ofProtocol(expression.number);
    case 'length': {
      const { least, most } = expression;
      return (_bytes, _offset, length) => length >= least && length <= most;
    }
  }
}

function ofVersion(version: 4 | 6): PacketPredicate {
  return (bytes, offset, length) => length >= IPV4_HEADER_SIZE && bytes[offset]! >>> 4 === version;
}

function ofProtocol(number: number): PacketPredicate {
  return (bytes, offset, length) => {
    findTransport(bytes, offset, length);
    return protocol === number;
  };
}

function ofKind(kind: PacketKind): PacketPredicate {
  switch (kind) {
    case 'ip':
      return ofVersion(4);
    case 'ip6':
      return ofVersion(6);
    case 'tcp':
      return ofProtocol(TCP);
    case 'udp':
      return ofProtocol(UDP);
    case 'icmp':
      return ofProtocol(ICMP);
    case 'icmp6':
      return ofProtocol(ICMPV6);
  }
}

function ofAddress(
  { family, address, length: bits }: Prefix,
  direction: Direction,
): PacketPredicate {
  const header = family === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
  const source = family === 4 ? IPV4_SOURCE : IPV6_SOURCE;
  const destination = family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION;
  return (bytes, offset, length) => {
    if (length < header || bytes[offset]! >>> 4 !== family) return false;
    return (
      (direction !== 'dst' && isWithin(bytes, offset + source, address, bits)) ||
      (direction !== 'src' && isWithin(bytes, offset + destination, address, bits))
    );
  };
}

function isWithin(bytes: Uint8Array, at: number, address: Uint8Array, bits: number): boolean {
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== address[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((bytes[at + whole]! ^ address[whole]!) & (0xff00 >> rest)) << 24 === 0;
}

function ofPorts(least: number, most: number, direction: Direction): PacketPredicate {
  return (bytes, offset, length) => {
    findTransport(bytes, offset, length);
    if (protocol !== TCP && protocol !== UDP && protocol !== SCTP) return false;
    if (transport < 0 || transport + 4 > offset + length) return false;
    const source = (bytes[transport]! << 8) | bytes[transport + 1]!;
    const destination = (bytes[transport + 2]! << 8) | bytes[transport + 3]!;
    return (
      (direction !== 'dst' && source >= least && source <= most) ||
      (direction !== 'src' && destination >= least && destination <= most)
    );
  };
}
