/** What a host saw of those that pinged it: the source addresses, remembered by its own kernel. */
import type { Namespace } from './namespace.ts';

/** Has a host remember who pings it from now on. */
export function watchPings(host: Namespace): Promise<void> {
  return host.nft(`
    table inet seen {
      set ping4 { type ipv4_addr; size 16; flags dynamic; }
      set ping6 { type ipv6_addr; size 16; flags dynamic; }
      chain input {
        type filter hook input priority 0
        icmp type echo-request add @ping4 { ip saddr }
        icmpv6 type echo-request add @ping6 { ip6 saddr }
      }
    }`);
}

/** The addresses that pinged a host, as it saw them. */
export async function pingedBy(host: Namespace, family: 4 | 6): Promise<string[]> {
  const text = await host.run(['nft', 'list', 'set', 'inet', 'seen', `ping${family}`]);
  const elements = /elements = \{([^}]*)\}/.exec(text)?.[1] ?? '';
  return elements
    .split(',')
    .map((element) => element.trim())
    .filter(Boolean);
}
