/**
 * Which kernel settings a gateway needs so that its site's packets are forwarded, in the order in
 * which they are set; they are set back in the reverse one.
 *
 * - Forwarding of IPv4 and of IPv6. Switching it changes more than itself, which is noted beforehand
 *   so that it can be set back: `forwarding` of every interface becomes the same, and IPv4's
 *   `accept_redirects` the opposite (Linux, inet_forward_change and addrconf_forward_change).
 * - A host that forwards IPv6 does not listen to router advertisements (RFC 4861 § 6.2.1), and loses
 *   the default route that it has from them, unless `accept_ra` is 2. It becomes 2 on every interface
 *   where it is 1, whether or not that has such a route now: one that is down, or that no router has
 *   spoken to yet, gets its route later. Where it is 0, a program listens in the kernel's place.
 * - Where the site and the Internet are behind one interface, no ICMP redirects: hosts that were told
 *   to go to the router themselves would pass us by when the destination becomes one of the mesh.
 *   Either of two settings switches them on (`all`, the interface's). IPv6 has no such setting: there
 *   a rule of nftables drops them on their way out.
 * - Our interface gets no link-local address, as the kernel's own WireGuard has none: nobody is there to
 *   use it, and with one the kernel asks the mesh for routers.
 * - `rp_filter` of our interface is not strict: a prefix may be local here and in the mesh in parts.
 */
import { open } from 'node:fs/promises';
import type { Prefix } from '../../routing/prefix.ts';
import { type NftTable, tableName } from '../../tun/nftables.ts';
import { FORWARDING, readSysctl } from '../../tun/sysctl.ts';
import {
  type HostLink,
  type HostRoute,
  readLinks,
  readRoutes,
  settingsOf,
} from '../doctor/host-facts.ts';
import { locateLan } from '../doctor/lan-location.ts';
import { settingsOfNeighbours } from '../setup-state.ts';

/** Links whose own value is looked at: on a host with more, the others keep to that of all. */
const MOST_LINKS = 256;
/** `addr_gen_mode`: none is made (Linux, IN6_ADDR_GEN_MODE_NONE). */
const NO_ADDRESS = '1';
const ACCEPT_REDIRECTS = 'net/ipv4/conf/all/accept_redirects';

/** What is asked of the host. */
export interface HostSource {
  readonly read: (path: string) => Promise<string | undefined>;
  readonly isWritable: (path: string) => Promise<boolean>;
  readonly links: () => Promise<readonly HostLink[]>;
  readonly routes: (exceptInterface: string) => Promise<readonly HostRoute[]>;
  /** Settings that other tunnels of this host keep. */
  readonly keptByOthers: (interfaceName: string) => Promise<ReadonlySet<string>>;
}

const SYSTEM: HostSource = {
  ...{ read: readSysctl, isWritable, links: readLinks, routes: readRoutes },
  keptByOthers: settingsOfNeighbours,
};

export class HostSettings {
  readonly #interfaceName: string;
  /** Whether anything but our own interface's may be changed. */
  readonly #forwarding: boolean;
  readonly #source: HostSource;
  /** What was wanted once: it looks as it should because it was set. */
  #kept: ReadonlyMap<string, string> = new Map();
  /** The host did not forward IPv6 before us: what listened to advertisements goes on. */
  #switchedIpv6 = false;
  #quiet: readonly string[] = [];
  #served = '';
  #stale = true;

  constructor(interfaceName: string, forwarding: boolean, source = SYSTEM) {
    this.#interfaceName = interfaceName;
    this.#forwarding = forwarding;
    this.#source = source;
  }

  /** Links or routes of this host may have changed. */
  lookAgain(): void {
    this.#stale = true;
  }

  /** @param served prefixes of this site */
  async wanted(served: readonly Prefix[]): Promise<Readonly<Record<string, string>>> {
    const text = served.map(({ address, length }) => `${address}/${length}`).join();
    if (this.#stale || text !== this.#served) {
      // What changes during the look is looked at with the next one.
      this.#stale = false;
      try {
        // As a whole: a look that fails half-way forgets nothing of what is to be kept.
        const { kept, quiet } = await this.#look(served);
        this.#kept = kept;
        this.#quiet = quiet;
        this.#served = text;
      } catch (error) {
        this.#stale = true;
        throw error;
      }
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

  async #look(served: readonly Prefix[]): Promise<Look> {
    const { read, isWritable, links, routes, keptByOthers } = this.#source;
    const before = this.#kept;
    const kept = new Map<string, string>();
    const others = await keptByOthers(this.#interfaceName);
    const keep = async (path: string, value: string, unless: () => Promise<boolean>) => {
      const now = await read(path);
      if (now === undefined) return;
      // Who else needs it sets it back when it ends, unless we need it too.
      const isKept = before.get(path) === value || (now === value && others.has(path));
      if (isKept) kept.set(path, value);
      // In a container they may be read-only: packets flow without, and `connector doctor` says it.
      else if (!(await unless()) && (await isWritable(path))) kept.set(path, value);
    };
    const is = async (path: string, value: string): Promise<boolean> =>
      (await read(path)) === value;
    const own = settingsOf(this.#interfaceName).addressGeneration;
    await keep(own, NO_ADDRESS, () => is(own, NO_ADDRESS));
    const strict = await this.#isStrict();
    await keep(settingsOf(this.#interfaceName).reversePath, '2', async () => !strict);
    const families = ([4, 6] as const).filter((family) =>
      served.some((prefix) => prefix.family === family),
    );
    if (!this.#forwarding || families.length === 0) return { kept, quiet: [] };
    const [allLinks, allRoutes] = await Promise.all([links(), routes(this.#interfaceName)]);
    const facts = { links: allLinks.slice(0, MOST_LINKS), routes: allRoutes };
    const names = facts.links
      .map(({ name }) => name)
      .filter((name) => name !== this.#interfaceName);
    const quiet = families.includes(6) ? oneArmed(served, facts, 6) : [];
    for (const family of families) {
      const switched = FORWARDING[family];
      // What it has done to the other settings is known from the first look only.
      const first = await is(switched, '0');
      if (family === 6) {
        if (first) this.#switchedIpv6 = true;
        for (const name of new Set([...waysOut(allRoutes), ...names])) {
          const path = settingsOf(name).acceptAdvertisements;
          await keep(path, '2', async () => !this.#switchedIpv6 || !(await is(path, '1')));
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
      for (const name of names) {
        const own = settingsOf(name);
        const path = family === 4 ? own.forwarding4 : own.forwarding6;
        await keep(path, '1', async () => !first || !(await is(path, '1')));
      }
      // Without this one nothing is forwarded: that it cannot be set is an error.
      if ((await read(switched)) !== undefined) kept.set(switched, '1');
    }
    return { kept, quiet };
  }

  async #isStrict(): Promise<boolean> {
    const values = await Promise.all(
      ['all', this.#interfaceName].map((name) => this.#source.read(settingsOf(name).reversePath)),
    );
    return Math.max(...values.map(Number)) === 1;
  }
}

interface Look {
  /** Settings with their values. */
  readonly kept: ReadonlyMap<string, string>;
  /** Interfaces that send no redirects of IPv6. */
  readonly quiet: readonly string[];
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
