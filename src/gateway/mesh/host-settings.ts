/**
 * Which kernel settings a gateway needs so that its site's packets are forwarded, in the order in
 * which they are set; they are set back in the reverse one.
 *
 * - Forwarding of IPv4 and of IPv6. Switching it changes more than itself, which is noted beforehand
 *   so that it can be set back: `forwarding` of every interface becomes the same, and IPv4's
 *   `accept_redirects` the opposite (Linux, inet_forward_change and addrconf_forward_change).
 * - A host that forwards IPv6 does not listen to router advertisements (RFC 4861 § 6.2.1), and loses
 *   the default route that it has from them, unless `accept_ra` is 2. It becomes 2 on the ways out
 *   where it is 1; where it is 0, a program listens in the kernel's place.
 * - Where the site and the Internet are behind one interface, no ICMP redirects: hosts that were told
 *   to go to the router themselves would pass us by when the destination becomes one of the mesh.
 *   Either of two settings switches them on (`all`, the interface's). IPv6 has no such setting: there
 *   a rule of nftables drops them on their way out.
 * - `rp_filter` of our interface is not strict: a prefix may be local here and in the mesh in parts.
 */
import { open } from 'node:fs/promises';
import type { Prefix } from '../../routing/prefix.ts';
import { type NftTable, tableName } from '../../tun/nftables.ts';
import { readSysctl } from '../../tun/sysctl.ts';
import {
  FORWARDING,
  type HostLink,
  type HostRoute,
  readLinks,
  readRoutes,
  settingsOf,
} from '../doctor/host-facts.ts';
import { locateLan } from '../doctor/lan-location.ts';

/** Links whose own value is looked at: on a host with more, the others keep to that of all. */
const MOST_LINKS = 256;
const ACCEPT_REDIRECTS = 'net/ipv4/conf/all/accept_redirects';

type Settings = Map<string, string>;

export class HostSettings {
  readonly #interfaceName: string;
  /** Whether anything but our own interface's may be changed. */
  readonly #forwarding: boolean;
  /** What was wanted once: it looks as it should because it was set. */
  readonly #kept: Settings = new Map();
  #quiet: readonly string[] = [];
  #served = '';
  #stale = true;

  constructor(interfaceName: string, forwarding: boolean) {
    this.#interfaceName = interfaceName;
    this.#forwarding = forwarding;
  }

  /** Links or routes of this host may have changed. */
  lookAgain(): void {
    this.#stale = true;
  }

  /** @param served prefixes of this site */
  async wanted(served: readonly Prefix[]): Promise<Readonly<Record<string, string>>> {
    const text = served.map(({ address, length }) => `${address}/${length}`).join();
    if (this.#stale || text !== this.#served) {
      await this.#look(served);
      this.#served = text;
      this.#stale = false;
    }
    return Object.fromEntries(this.#kept);
  }

  /** Beside what was wanted last. */
  get tables(): readonly NftTable[] {
    if (this.#quiet.length === 0) return [];
    const names = this.#quiet.map((name) => `"${name}"`).join(', ');
    return [
      {
        name: tableName(this.#interfaceName, 'redirects'),
        body: [
          '  chain output {',
          '    type filter hook output priority filter; policy accept;',
          `    oifname { ${names} } icmpv6 type nd-redirect drop`,
          '  }',
        ].join('\n'),
        without: 'Hosts may be told by ICMP redirects to go to the Internet by themselves.',
      },
    ];
  }

  async #look(served: readonly Prefix[]): Promise<void> {
    const before = new Map(this.#kept);
    this.#kept.clear();
    this.#quiet = [];
    const keep = async (path: string, value: string, unless: () => Promise<boolean>) => {
      if ((await readSysctl(path)) === undefined) return;
      if (before.get(path) === value) this.#kept.set(path, value);
      // In a container they may be read-only: packets flow without, and `connector doctor` says it.
      else if (!(await unless()) && (await isWritable(path))) this.#kept.set(path, value);
    };
    const is = async (path: string, value: string): Promise<boolean> =>
      (await readSysctl(path)) === value;
    const strict = await this.#isStrict();
    await keep(settingsOf(this.#interfaceName).reversePath, '2', async () => !strict);
    const families = ([4, 6] as const).filter((family) =>
      served.some((prefix) => prefix.family === family),
    );
    if (!this.#forwarding || families.length === 0) return;
    const [links, routes] = await Promise.all([readLinks(), readRoutes(this.#interfaceName)]);
    const facts = { links: links.slice(0, MOST_LINKS), routes };
    for (const family of families) {
      const switched = FORWARDING[family];
      // What it has done to the other settings is known from the first look only.
      const first = await is(switched, '0');
      if (family === 6) {
        this.#quiet = oneArmed(served, facts, 6);
        for (const name of waysOut(routes)) {
          const path = settingsOf(name).acceptAdvertisements;
          await keep(path, '2', async () => !first || !(await is(path, '1')));
        }
      } else {
        await keep(ACCEPT_REDIRECTS, '0', async () => !first);
        for (const name of oneArmed(served, facts, 4)) {
          for (const where of ['all', name]) {
            const path = settingsOf(where).sendRedirects;
            await keep(path, '0', () => is(path, '0'));
          }
        }
      }
      for (const { name } of facts.links) {
        const own = settingsOf(name);
        const path = family === 4 ? own.forwarding4 : own.forwarding6;
        if (name === this.#interfaceName) continue;
        await keep(path, '1', async () => !first || !(await is(path, '1')));
      }
      // Without this one nothing is forwarded: that it cannot be set is an error.
      if ((await readSysctl(switched)) !== undefined) this.#kept.set(switched, '1');
    }
  }

  async #isStrict(): Promise<boolean> {
    const values = await Promise.all(
      ['all', this.#interfaceName].map((name) => readSysctl(settingsOf(name).reversePath)),
    );
    return Math.max(...values.map(Number)) === 1;
  }
}

/** By opening it: what access(2) says does not heed capabilities. */
async function isWritable(path: string): Promise<boolean> {
  try {
    const file = await open(`/proc/sys/${path}`, 'r+');
    await file.close();
    return true;
  } catch {
    return false;
  }
}

/** Interfaces with a default route of either family. */
function waysOut(routes: readonly HostRoute[]): string[] {
  const defaults = routes.filter(({ prefix }) => prefix.length === 0);
  return [...new Set(defaults.map(({ interfaceName }) => interfaceName))];
}

/** Interfaces that are the way to the site and to the Internet. */
export function oneArmed(
  served: readonly Prefix[],
  facts: { readonly links: readonly HostLink[]; readonly routes: readonly HostRoute[] },
  version: 4 | 6,
): string[] {
  const lan = served
    .filter(({ family }) => family === version)
    .map((prefix) => locateLan(prefix, facts))
    .flatMap(({ how, interfaces }) => (how === 'here' ? interfaces : []));
  const out = facts.routes
    .filter(({ prefix }) => prefix.family === version && prefix.length === 0)
    .map(({ interfaceName }) => interfaceName);
  return [...new Set(out)].filter((name) => lan.includes(name));
}
