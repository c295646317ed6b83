/**
 * A site with a LAN as offices have it: a switch with hosts, a router to the Internet, and our gateway,
 * which is just another host there. Attached to the internet of a mesh lab as site N:
 *
 *       by-gateway     by-router        gateway          router
 *       10.N.0.10      10.N.0.11       10.N.0.1       10.N.0.254
 *       fd0N::10       fd0N::11         fd0N::1        fd0N::254
 *           │              │               │               │ 198.51.N.2, 2001:db8:N::2
 *       ════╧══════════════╧═══ switch ════╧═══════════════╧ ─ internet (198.51.N.1, 2001:db8:N::1)
 *
 * by-gateway has the gateway as its default route. by-router has the router, and the router has one
 * static route for the mesh to the gateway; so has the gateway its default route to the router.
 */

import type { Lab } from './lab.ts';
import { Site } from './mesh-lab.ts';
import { connect, type Namespace } from './namespace.ts';

export class LanSite {
  readonly site: Site;
  /** Its default route is the gateway. */
  readonly byGateway: Namespace;
  /** Its default route is the router. */
  readonly byRouter: Namespace;
  readonly router: Namespace;
  readonly number: number;

  private constructor(
    number: number,
    { router, gateway, byGateway, byRouter }: Record<string, Namespace>,
  ) {
    this.site = new Site({ name: 'lan', number }, [router!, gateway!, byGateway!]);
    this.byGateway = byGateway!;
    this.byRouter = byRouter!;
    this.router = router!;
    this.number = number;
  }

  get gateway(): Namespace {
    return this.site.gateway;
  }

  /** The two hosts with their addresses. */
  get hosts(): readonly { readonly host: Namespace; readonly address: Record<4 | 6, string> }[] {
    const at = (last: number) => ({
      4: `10.${this.number}.0.${last}`,
      6: `fd0${this.number}::${last}`,
    });
    return [
      { host: this.byGateway, address: at(10) },
      { host: this.byRouter, address: at(11) },
    ];
  }

  /** @param mesh prefixes that the router sends to the gateway */
  static async open(
    lab: Lab,
    internet: Namespace,
    number: number,
    mesh: readonly string[],
  ): Promise<LanSite> {
    const [lan, gateway, router, byGateway, byRouter] = await lab.namespaces(
      'switch',
      'gw-lan',
      'router',
      'by-gateway',
      'by-router',
    );
    await lan.ip('link add br0 type bridge forward_delay 0', 'link set br0 up');
    const [v4, v6] = [`10.${number}.0.`, `fd0${number}::`];
    const members = [
      [gateway, 1],
      [byGateway, 10],
      [byRouter, 11],
      [router, 254],
    ] as const;
    for (const [member, last] of members) {
      await lan.ip(
        `link add port${last} type veth peer name eth0 netns ${member.name}`,
        `link set port${last} master br0 up`,
      );
      // A router's link-local address is what its redirects come from: each has one of its own.
      await member.ip(
        `address add fe80::${last}/64 dev eth0 nodad`,
        `address add ${v4}${last}/24 dev eth0`,
        `address add ${v6}${last}/64 dev eth0 nodad`,
        'link set eth0 up',
      );
    }
    await connect(
      {
        namespace: router,
        link: 'wan0',
        addresses: [`198.51.${number}.2/24`, `2001:db8:${number}::2/64`],
      },
      {
        namespace: internet,
        link: 'site-lan',
        addresses: [`198.51.${number}.1/24`, `2001:db8:${number}::1/64`],
      },
    );
    await router.forward();
    // What a kernel begins with may be what this machine has.
    await router.sysctl({ 'net.ipv4.conf.eth0.send_redirects': 1 });
    await router.ip(
      `route add default via 198.51.${number}.1`,
      `route add default via 2001:db8:${number}::1`,
      ...mesh.map((prefix) => {
        return `route add ${prefix} via ${prefix.includes(':') ? `${v6}1` : `${v4}1`}`;
      }),
    );
    await router.nft(`
      table inet nat {
        chain postrouting {
          type nat hook postrouting priority 100
          oifname "wan0" masquerade
        }
      }
      table inet site {
        counter passed { }
        chain forward {
          type filter hook forward priority 0
          iifname "eth0" oifname "eth0" counter name passed
        }
      }`);
    await byGateway.ip(`route add default via ${v4}1`, 'route add default via fe80::1 dev eth0');
    for (const host of [byRouter, gateway]) {
      await host.ip(`route add default via ${v4}254`, `route add default via ${v6}254`);
    }
    return new LanSite(number, { router, gateway, byGateway, byRouter });
  }

  /** Packets that the router took from the LAN and gave back to it. */
  async passedByRouter(): Promise<number> {
    const text = await this.router.run(['nft', 'list', 'counter', 'inet', 'site', 'passed']);
    return Number(/packets (\d+)/.exec(text)![1]);
  }
}
