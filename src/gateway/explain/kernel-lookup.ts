/** What the kernel would do with a packet, as `ip route get` (ip-route(8)) says. */
import { parseAddress } from '../../routing/address.ts';
import { formatPrefix, parsePrefix } from '../../routing/prefix.ts';
import { objectsOf, stringOf, tryCommand } from '../../tun/command.ts';
import { deviceSchema, type Lookup } from './side-facts.ts';

const NOTHING = { device: null, gateway: null, prefix: null } as const;

/** Words of strerror(3) for what the kernel answers instead of a route. */
const REFUSALS: readonly (readonly [RegExp, Lookup['result']])[] = [
  [/Network is unreachable/, 'no-route'],
  [/No route to host/, 'unreachable'],
  [/Permission denied/, 'prohibited'],
  [/Invalid (cross-device link|argument)/, 'rejected'],
];

/**
 * @param to address
 * @param from address; with `device` the packet comes in there, without it is the gateway's own
 */
export async function lookUp(
  to: string,
  from: string | undefined,
  device: string | undefined,
): Promise<Lookup> {
  const source = from === undefined ? [] : ['from', from];
  const query = [to, ...source, ...(device === undefined ? [] : ['iif', device])];
  const [route, matched] = await Promise.all([
    tryCommand('ip', ['-json', 'route', 'get', ...query]),
    tryCommand('ip', ['-json', 'route', 'get', 'fibmatch', ...query]),
  ]);
  if (route.code !== 0) return { result: refusalOf(route.stderr), ...NOTHING };
  return readLookup(route.stdout, matched.code === 0 ? matched.stdout : '[]');
}

export function refusalOf(stderr: string): Lookup['result'] {
  return REFUSALS.find(([words]) => words.test(stderr))?.[1] ?? 'failed';
}

/** @param matched what `ip route get fibmatch` printed for the same packet */
export function readLookup(route: string, matched: string): Lookup {
  const [found] = parseObjects(route);
  if (found === undefined) return { result: 'failed', ...NOTHING };
  if (stringOf(found, 'type') === 'local') return { result: 'local', ...NOTHING };
  const device = deviceSchema.safeParse(found.dev).data ?? null;
  const gateway = stringOf(found, 'gateway') ?? viaOf(found.via);
  const [match] = parseObjects(matched);
  const text = stringOf(match, 'dst');
  const whole = stringOf(found, 'dst')?.includes(':') ? '::/0' : '0.0.0.0/0';
  const prefix = parsePrefix(text === 'default' ? whole : (text ?? ''));
  return {
    result: 'sent',
    device,
    gateway: gateway !== undefined && parseAddress(gateway) !== undefined ? gateway : null,
    prefix: prefix === undefined ? null : formatPrefix(prefix),
  };
}

/** An IPv4 route by an IPv6 router has `"via": {"family": …, "host": …}`. */
function viaOf(via: unknown): string | undefined {
  return stringOf(objectsOf([via])[0], 'host');
}

function parseObjects(text: string) {
  try {
    return objectsOf(JSON.parse(text));
  } catch {
    return [];
  }
}
