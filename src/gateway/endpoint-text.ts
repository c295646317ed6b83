/**
 * Endpoints as wg(8) writes them: `192.0.2.1:51820`, `[2001:db8::1]:51820`, `[fe80::1%eth0]:51820`.
 */
import { parseAddress, splitZone } from '../routing/address.ts';
import type { PeerEndpoint } from '../wireguard/configuration.ts';

export { formatEndpoint } from '../wireguard/endpoint-record.ts';

/** Index of a network interface by name; undefined if there is none. */
export type InterfaceIndexOf = (name: string) => number | undefined;

export interface HostAndPort {
  /** Address or host name, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Splits `HOST:PORT` and `[HOST]:PORT`; undefined if it is neither. The port is 1 to 65535. */
export function splitHostAndPort(text: string): HostAndPort | undefined {
  const match = /^(?:\[([^\]\s]+)\]|([^[\]:\s]+)):([0-9]{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) return undefined;
  return { host: match[1] ?? match[2]!, port };
}

/** An endpoint whose host is an address; undefined if it is not, or its scope is unknown. */
export function parseEndpoint(
  text: string,
  interfaceIndexOf: InterfaceIndexOf,
): PeerEndpoint | undefined {
  const split = splitHostAndPort(text);
  if (!split) return undefined;
  return endpointOf(split.host, split.port, interfaceIndexOf);
}

/** As `parseEndpoint`, from a host that is an address, with `%SCOPE` if it has one. */
export function endpointOf(
  host: string,
  port: number,
  interfaceIndexOf: InterfaceIndexOf,
): PeerEndpoint | undefined {
  const zoned = splitZone(host);
  const parsed = zoned && parseAddress(zoned.address);
  if (!parsed) return undefined;
  const { family, address } = parsed;
  if (family === 4) return zoned.zone === '' ? { family, address, port, scope: 0 } : undefined;
  if (isMapped(address)) return { family: 4, address: address.slice(12), port, scope: 0 };
  if (zoned.zone === '') return { family, address, port, scope: 0 };
  const numeric = /^[0-9]{1,9}$/.test(zoned.zone);
  const scope = numeric ? Number(zoned.zone) : interfaceIndexOf(zoned.zone);
  return scope === undefined ? undefined : { family, address, port, scope };
}

/** ::ffff:0:0/96: an IPv4 address in IPv6 form; the sockets speak the two families apart. */
function isMapped(address: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (address[i] !== 0) return false;
  return address[10] === 0xff && address[11] === 0xff;
}
