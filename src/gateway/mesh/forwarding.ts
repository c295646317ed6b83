/**
 * Which kernel settings a gateway needs so that its site's packets are forwarded.
 *
 * IPv6 has a trap: a host that forwards stops listening to router advertisements, and would lose the
 * default route that it has from them (RFC 4861 § 6.3.1 is for hosts), unless `accept_ra` is 2. There
 * the setting is left alone, and `status` says so.
 */
import { readFile } from 'node:fs/promises';
import { ipJson, stringOf } from '../../tun/command.ts';

export const FORWARDING = {
  4: 'net.ipv4.ip_forward',
  6: 'net.ipv6.conf.all.forwarding',
} as const;

/** What is to be set for these families, by name. */
export async function forwardingSettings(
  families: ReadonlySet<4 | 6>,
): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  if (families.has(4)) settings[FORWARDING[4]] = '1';
  if (families.has(6) && (await advertisedRouters()).length === 0) settings[FORWARDING[6]] = '1';
  return settings;
}

/** Interfaces whose IPv6 default route would be lost by forwarding. */
export async function advertisedRouters(): Promise<string[]> {
  const routes = await ipJson(['-6', 'route', 'show', 'default']);
  const advertised = routes.filter((route) => stringOf(route, 'protocol') === 'ra');
  const names = new Set(advertised.flatMap((route) => stringOf(route, 'dev') ?? []));
  const kept = await Promise.all(
    [...names].map(async (name) => {
      const path = `/proc/sys/net/ipv6/conf/${name}/accept_ra`;
      const value = await readFile(path, 'utf8').catch(() => '');
      return value.trim() === '2' ? [] : [name];
    }),
  );
  return kept.flat();
}
