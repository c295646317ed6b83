/** Endpoints of the configuration: as endpoint records (`EndpointTable` in vector.ts), and as text. */
import { formatAddress } from '../routing/address.ts';
import { ENDPOINT_RECORD_SIZE, ENDPOINT_RECORD_WORDS, type EndpointTable } from '../vector.ts';
import type { PeerEndpoint } from './configuration.ts';
import { MAX_RELAY_ID } from './messages.ts';

/** Writes record `record`; the local address is the kernel's choice. */
export function writeEndpoint(table: EndpointTable, record: number, endpoint: PeerEndpoint): void {
  const { words, bytes } = table;
  const at = record * ENDPOINT_RECORD_WORDS;
  words.fill(0, at, at + ENDPOINT_RECORD_WORDS);
  words[at] = endpoint.family | (endpoint.port << 16);
  bytes.set(endpoint.address, (at + 1) * 4);
  words[at + 5] = endpoint.scope;
  words[at + 11] = endpoint.relayId ?? 0;
}

/** Reads record `record`; undefined if it holds none. */
export function readEndpoint(words: Int32Array, record = 0): PeerEndpoint | undefined {
  const at = record * ENDPOINT_RECORD_WORDS;
  const family = words[at]! & 0xffff;
  if (family !== 4 && family !== 6) return undefined;
  const bytes = new Uint8Array(words.buffer, words.byteOffset + at * 4, ENDPOINT_RECORD_SIZE);
  const relayId = words[at + 11]!;
  return {
    family,
    address: bytes.slice(4, family === 4 ? 8 : 20),
    port: words[at]! >>> 16,
    scope: words[at + 5]!,
    ...(relayId === 0 ? {} : { relayId }),
  };
}

/** Whether two records have the same remote address, port, scope and relay id. Hot path. */
export function sameRemote(
  a: Int32Array,
  recordA: number,
  b: Int32Array,
  recordB: number,
): boolean {
  const atA = recordA * ENDPOINT_RECORD_WORDS;
  const atB = recordB * ENDPOINT_RECORD_WORDS;
  let differs = a[atA + 11]! ^ b[atB + 11]!;
  for (let i = 0; i < 6; i++) differs |= a[atA + i]! ^ b[atB + i]!;
  return differs === 0;
}

/**
 * As wg(8) writes it: `192.0.2.1:51820`, `[2001:db8::1]:51820`, `[fe80::1%3]:51820`, the scope as a
 * number. The relay id is left out.
 */
export function formatEndpoint({ family, address, port, scope }: PeerEndpoint): string {
  const host = formatAddress(address);
  if (family === 4) return `${host}:${port}`;
  return `[${host}${scope === 0 ? '' : `%${scope}`}]:${port}`;
}

/** Whether it is an address, a port and perhaps a relay id. */
export function isEndpoint({ family, address, port, scope, relayId = 0 }: PeerEndpoint): boolean {
  return (
    (family === 4 || family === 6) &&
    address.length === (family === 4 ? 4 : 16) &&
    isUpTo(port, 0xffff) &&
    isUpTo(scope, 0x7fff_ffff) &&
    isUpTo(relayId, MAX_RELAY_ID)
  );
}

function isUpTo(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}
