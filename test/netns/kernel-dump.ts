/** A gateway's whole network set-up as text, and other people's parts of it: what must stay as it was. */
import type { Site } from '../../lab/mesh-lab.ts';
import type { Namespace } from '../../lab/namespace.ts';

/** Everything of the network stack that somebody could have set; counters and clocks left out. */
export async function dump(namespace: Namespace): Promise<string> {
  const parts = [
    'ip -d addr',
    'ip -d link',
    'ip -4 -d route show table all',
    'ip -6 -d route show table all',
    'ip -4 -d rule',
    'ip -6 -d rule',
    'nft -s list ruleset',
    'sysctl -a -r ^net\\.',
  ];
  const texts: string[] = [];
  for (const part of parts) texts.push(await namespace.run(part.split(' ')));
  return texts
    .join('\n')
    .split('\n')
    .filter((line) => !/nf_conntrack_count|fib_multipath_hash_seed|stable_secret|random/.test(line))
    .map((line) => line.replace(/ (expires|age) \S+|(valid|preferred)_lft \d\S*/g, ''))
    .join('\n');
}

/** Rules, routes and filters of others, some of them where ours are at home. */
export async function strangers({ gateway }: Site): Promise<void> {
  await gateway.ip(
    'rule add pref 19999 from 198.51.100.1 lookup 51999',
    'rule add pref 20010 fwmark 77 lookup 77',
    'route add blackhole 198.51.100.0/24 table 77',
    'route add 172.31.0.0/16 dev lan0 metric 900',
  );
  await gateway.nft(`
    table inet theirs {
      set hosts { type ipv4_addr; elements = { 192.0.2.1 } }
      chain forward { type filter hook forward priority 10; policy accept; ip saddr @hosts drop; }
    }
    table ip nat {
      chain post { type nat hook postrouting priority 100; oifname "nowhere" masquerade; }
    }`);
  await gateway.sysctl({ 'net.ipv4.conf.all.accept_redirects': 1 });
}
