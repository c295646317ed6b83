/**
 * Whether our interface can have IPv6: the kernel may be without it (`ipv6.disable=1`), or have it
 * switched off, for all interfaces or for ours. It then refuses addresses and routes of IPv6.
 */
import { FORWARDING, readSysctl } from '../../tun/sysctl.ts';
import { settingsOf } from '../doctor/host-facts.ts';

/** `off`: of our interface, others may have it; `missing`: in the whole kernel. */
export type Ipv6Support = 'on' | 'off' | 'missing';

export async function readIpv6Support(interfaceName: string): Promise<Ipv6Support> {
  const disabled = await readSysctl(settingsOf(interfaceName).disabled6);
  if (disabled === '0') return 'on';
  // An interface has no settings of IPv6 while its MTU is below 1,280.
  const isThere = disabled !== undefined || (await readSysctl(FORWARDING[6])) !== undefined;
  return isThere ? 'off' : 'missing';
}

/** What the operator should know of it; undefined = nothing. */
export function sayIpv6Support(support: Ipv6Support, interfaceName: string): string | undefined {
  if (support === 'on') return undefined;
  const effect = 'the mesh carries IPv4 alone here';
  if (support === 'missing') return `This kernel has no IPv6: ${effect}.`;
  const setting = (name: string): string => `net.ipv6.conf.${name}.disable_ipv6`;
  return `IPv6 is switched off on ${interfaceName}: ${effect}. To have both, set ${setting(interfaceName)} to 0 now, and ${setting('default')} for the next start.`;
}
