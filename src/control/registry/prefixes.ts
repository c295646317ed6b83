/** What may be a route's prefix, whoever asks for it. */
import { CausewayError } from '../../errors.ts';
import {
  containsPrefix,
  formatPrefix,
  type Prefix,
  parsePrefix,
  parsePrefixStrict,
} from '../../routing/prefix.ts';
import type { Head } from '../model.ts';

/** Not routed between networks: this host, loopback, link-local, multicast, broadcast, IPv4-mapped. */
const UNROUTED = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32'],
  ...['::/127', 'fe80::/10', 'ff00::/8', '::ffff:0:0/96'],
].map((text) => parsePrefix(text)!);

/** A CIDR without host bits, in canonical form. @throws CausewayError ROUTE_PREFIX, ROUTE_HOST_BITS */
export function checkedCidr(text: string): Prefix {
  const parsed = parsePrefixStrict(text);
  if (parsed === undefined) {
    throw new CausewayError('ROUTE_PREFIX', `"${text}" is no prefix such as 10.1.0.0/16.`);
  }
  if (parsed.hostBits) {
    throw new CausewayError(
      'ROUTE_HOST_BITS',
      `"${text}" has bits set behind its length: did you mean ${formatPrefix(parsed.prefix)}?`,
    );
  }
  return parsed.prefix;
}

/**
 * A prefix that may be a route, in canonical text.
 *
 * @throws CausewayError ROUTE_PREFIX, ROUTE_HOST_BITS, ROUTE_DEFAULT, ROUTE_RESERVED
 */
export function checkedRoutePrefix(text: string, allowDefault: boolean, head: Head): string {
  const prefix = checkedCidr(text);
  const canonical = formatPrefix(prefix);
  if (prefix.length === 0) {
    if (allowDefault) return canonical;
    throw new CausewayError(
      'ROUTE_DEFAULT',
      `${canonical} is a default route, which takes everything that has no better one: say so with --allow-default.`,
    );
  }
  for (const range of [head.meshIpv4, head.meshIpv6]) {
    if (!containsPrefix(parsePrefix(range)!, prefix)) continue;
    throw new CausewayError(
      'ROUTE_RESERVED',
      `${canonical} lies in ${range}, the range of the mesh's own addresses.`,
    );
  }
  const unrouted = UNROUTED.find((range) => containsPrefix(range, prefix));
  if (unrouted !== undefined) {
    throw new CausewayError(
      'ROUTE_RESERVED',
      `${canonical} lies in ${formatPrefix(unrouted)}, which is not routed.`,
    );
  }
  return canonical;
}
