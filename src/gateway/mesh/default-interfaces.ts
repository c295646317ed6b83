/** How this host reaches the Internet: the interfaces of main's default routes, and how strict it is. */
import type { BreakoutFamily } from '../../control/breakout.ts';
import { ipJson, objectsOf, stringOf } from '../../tun/command.ts';
import { readSysctl } from '../../tun/sysctl.ts';

export type DefaultInterfaces = Readonly<Record<BreakoutFamily, readonly string[]>>;

export const NO_INTERFACES: DefaultInterfaces = { 4: [], 6: [] };

/** In order of their names. */
export async function readDefaultInterfaces(
  families: readonly BreakoutFamily[],
): Promise<DefaultInterfaces> {
  const found: Record<BreakoutFamily, readonly string[]> = { 4: [], 6: [] };
  for (const family of families) {
    const routes = await ipJson([`-${family}`, 'route', 'show', 'default']);
    const usable = routes.filter((route) => (stringOf(route, 'type') ?? 'unicast') === 'unicast');
    const hops = usable.flatMap((route) => [route, ...objectsOf(route.nexthops)]);
    found[family] = [...new Set(hops.flatMap((hop) => stringOf(hop, 'dev') ?? []))].sort();
  }
  return found;
}

/** Whether an interface that is made now filters by reverse path, strictly (rp_filter 1). */
export async function isReversePathStrict(): Promise<boolean> {
  const all = await readSysctl('net.ipv4.conf.all.rp_filter');
  const other = await readSysctl('net.ipv4.conf.default.rp_filter');
  return Math.max(Number(all), Number(other)) === 1;
}
