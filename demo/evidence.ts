/** What others saw of the demo: the internet between the sites, and a gateway after its end. */
import { API_PORT, RELAY_PORT } from '../lab/mesh-lab.ts';
import type { Namespace } from '../lab/namespace.ts';

/** Has the internet count what passes: WireGuard, the edge's API, and anything else. */
export function watchInternet(internet: Namespace): Promise<void> {
  return internet.nft(`
    table inet seen {
      counter sealed { }
      counter api { }
      counter other { }
      chain forward {
        type filter hook forward priority 0
        udp dport ${RELAY_PORT} counter name sealed accept
        udp sport ${RELAY_PORT} counter name sealed accept
        tcp dport ${API_PORT} counter name api accept
        tcp sport ${API_PORT} counter name api accept
        counter name other
      }
    }`);
}

export interface Crossed {
  readonly sealed: number;
  readonly api: number;
  readonly other: number;
}

/** Packets that crossed the internet. */
export async function crossed(internet: Namespace): Promise<Crossed> {
  const count = async (name: string): Promise<number> => {
    const text = await internet.run(['nft', 'list', 'counter', 'inet', 'seen', name]);
    return Number(/packets (\d+)/.exec(text)![1]);
  };
  return { sealed: await count('sealed'), api: await count('api'), other: await count('other') };
}

/** What a connector left in its gateway's network stack after `connector down`. */
export async function remains(gateway: Namespace): Promise<string[]> {
  const links = await gateway.run(['ip', '-o', 'link']);
  const rules = await gateway.run(['ip', 'rule']);
  const routes = await gateway.run(['ip', 'route', 'show', 'table', 'all']);
  const tables = await gateway.run(['nft', 'list', 'tables']);
  const forwarding = await gateway.run(['sysctl', '-n', 'net.ipv4.ip_forward']);
  const found: string[] = [];
  if (/: causeway0:/.test(links)) found.push('the interface');
  if (rules.trim().split('\n').length !== 3) found.push('a rule');
  if (/ dev causeway0 /.test(routes)) found.push('a route');
  if (tables.trim() !== '') found.push('a firewall table');
  if (forwarding.trim() !== '0') found.push('forwarding');
  return found;
}
