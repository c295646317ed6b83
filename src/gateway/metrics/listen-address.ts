/** Where the metrics are to be asked for: `ADDRESS:PORT`, an IPv6 address in brackets. */
import { isIP } from 'node:net';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What to write instead of a text that is no listen address. */
export const LISTEN_ADDRESS_FORM =
  'an address of this host and a port, as 127.0.0.1:9780 or [::1]:9780';

/** Undefined if it is none. A name is none: what it stands for may change. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(text);
  if (found === null) return undefined;
  const [, ipv6, ipv4, digits] = found;
  const port = Number(digits);
  const host = ipv6 ?? ipv4!;
  if (port > 65_535 || isIP(host) !== (ipv6 === undefined ? 4 : 6)) return undefined;
  return { host, port };
}
