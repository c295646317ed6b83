/** What a gateway may advertise: prefixes as an operator writes them. */
import { CausewayError } from '../../errors.ts';
import { formatPrefix, parsePrefixStrict } from '../../routing/prefix.ts';

/** In canonical form. @throws CausewayError ROUTE_PREFIX, ROUTE_HOST_BITS, ROUTE_DEFAULT */
export function checkPrefix(text: string, allowDefault: boolean): string {
  const parsed = parsePrefixStrict(text);
  if (parsed === undefined) {
    throw new CausewayError('ROUTE_PREFIX', `${text} is no prefix: write it as 10.1.0.0/24.`);
  }
  const canonical = formatPrefix(parsed.prefix);
  if (parsed.hostBits) {
    const message = `${text} has bits set behind its length: did you mean ${canonical}?`;
    throw new CausewayError('ROUTE_HOST_BITS', message);
  }
  if (parsed.prefix.length === 0 && !allowDefault) {
    const message = `${text} is a default route: if you mean it, add --allow-default.`;
    throw new CausewayError('ROUTE_DEFAULT', message);
  }
  return canonical;
}
