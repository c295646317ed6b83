/**
 * A mesh as it is in the field: an edge on the internet, and sites whose gateways sit behind NATs that
 * give every flow a random port and admit nothing from outside. Of a site N:
 *
 *      host ──── gateway ────────── nat ──────────── internet ──── edge
 *   10.N.0.10   10.N.0.1   192.168.N.2 192.168.N.1   198.51.N.2 198.51.N.1   203.0.113.1 203.0.113.10
 *   fd0N::10    fd0N::1    fdN0::2     fdN0::1       2001:db8:N::2           2001:db8:113::10
 *
 * The hosts have an address and a default route to their gateway, nothing else; the internet has no
 * route to any site.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { requestMesh } from '../src/gateway/local-client.ts';
import { Lab } from './lab.ts';
import { connect, type Namespace } from './namespace.ts';
import type { Process } from './process.ts';

export const CONNECTOR = join(import.meta.dirname, '../bin/connector');
export const EDGE = { 4: '203.0.113.10', 6: '2001:db8:113::10' } as const;
export const API_PORT = 8_443;
export const RELAY_PORT = 51_820;
export const INTERFACE = 'causeway0';

export interface SitePlan {
  readonly name: string;
  /** 1 to 9; the third number of its networks. */
  readonly number: number;
  /** Number in the addresses of its LAN, where another site is to have the same. */
  readonly lan?: number;
}

export class Site {
  readonly name: string;
  readonly host: Namespace;
  readonly gateway: Namespace;
  readonly nat: Namespace;
  readonly number: number;
  /** Of the host. */
  readonly address: Readonly<Record<4 | 6, string>>;
  /** Of the LAN. */
  readonly prefixes: readonly [string, string];
  readonly stateDirectory: string;

  constructor(plan: SitePlan, [nat, gateway, host]: readonly [Namespace, Namespace, Namespace]) {
    const lan = plan.lan ?? plan.number;
    this.name = plan.name;
    this.number = plan.number;
    this.nat = nat;
    this.gateway = gateway;
    this.host = host;
    this.address = { 4: `10.${lan}.0.10`, 6: `fd0${lan}::10` };
    this.prefixes = [`10.${lan}.0.0/24`, `fd0${lan}::/64`];
    this.stateDirectory = join(gateway.folder, 'state');
  }

  /** `connector up` in the background; what it printed on stderr. */
  async up(...options: string[]): Promise<string> {
    const command = [CONNECTOR, 'up', '--state-dir', this.stateDirectory, ...options];
    const { code, stderr } = await this.gateway.attempt(command);
    if (code !== 0) throw new Error(`connector up at ${this.name}: ${stderr}`);
    return stderr;
  }

  async down(): Promise<void> {
    await this.gateway.run([CONNECTOR, 'down']);
  }

  /** As `down`, and the host is nobody any more. */
  async forget(): Promise<void> {
    const command = [CONNECTOR, 'down', '--forget', '--state-dir', this.stateDirectory];
    await this.gateway.run(command);
  }

  /** What `connector status --json` prints, asked in this process: tests look at it in loops. */
  async status(): Promise<SiteStatus> {
    const { ino } = statSync(join('/run/netns', this.gateway.name));
    const directory = join(this.gateway.folder, 'causeway', `netns-${ino}`);
    const status = await requestMesh(INTERFACE, [directory]);
    if (status === undefined) throw new Error(`no gateway runs at ${this.name}`);
    return status;
  }
}

/** The part of `connector status --json` that tests look at. */
export interface SiteStatus {
  readonly pid: number;
  readonly mesh: { readonly ipv4: string; readonly ipv6: string } | null;
  readonly stream: { readonly state: string; readonly error: { readonly code: string } | null };
  readonly netmap: { readonly source: string; readonly revision: number } | null;
  readonly peers: readonly {
    readonly connector: string;
    readonly mesh: { readonly ipv4: string; readonly ipv6: string };
    readonly path: { readonly kind: string; readonly edge: string | null };
    readonly lastHandshake: string | null;
    readonly rtt: number | null;
    readonly mtu: number | null;
  }[];
  readonly edges: readonly {
    readonly endpoint: string | null;
    readonly lastHandshake: string | null;
  }[];
  readonly routes: readonly {
    readonly prefix: string;
    readonly connector: string;
    readonly state: string;
  }[];
  readonly problems: readonly string[];
}

export class MeshLab implements AsyncDisposable {
  readonly internet: Namespace;
  readonly edge: Namespace;
  readonly sites: readonly Site[];
  readonly dataDirectory: string;
  #process: Process | undefined;
  readonly #lab: Lab;

  private constructor(lab: Lab, internet: Namespace, edge: Namespace, sites: readonly Site[]) {
    this.#lab = lab;
    this.internet = internet;
    this.edge = edge;
    this.sites = sites;
    this.dataDirectory = join(edge.folder, 'edge');
  }

  /** Makes the namespaces; nothing of ours runs yet. */
  static async open(...plans: SitePlan[]): Promise<MeshLab> {
    const lab = new Lab();
    try {
      const [internet, edge] = await lab.namespaces('internet', 'edge');
      await internet.forward();
      await connect(
        { namespace: edge, link: 'eth0', addresses: [`${EDGE[4]}/24`, `${EDGE[6]}/64`] },
        { namespace: internet, link: 'edge', addresses: ['203.0.113.1/24', '2001:db8:113::1/64'] },
      );
      await edge.ip('route add default via 203.0.113.1', 'route add default via 2001:db8:113::1');
      const sites: Site[] = [];
      for (const plan of plans) sites.push(await openSite(lab, internet, plan));
      return new MeshLab(lab, internet, edge, sites);
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  site(name: string): Site {
    const site = this.sites.find((one) => one.name === name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** `connector edge run` in the foreground; returns when its API and relay are there. */
  async startEdge(address: string = EDGE[4], ...options: string[]): Promise<Process> {
    const command = [CONNECTOR, 'edge', 'run', '--data', this.dataDirectory];
    const process = this.edge.start([...command, '--public', address, ...options]);
    this.#process = process;
    await process.line(/"msg":"the edge is up"/, 30);
    return process;
  }

  get edgeProcess(): Process {
    if (this.#process === undefined) throw new Error('no edge was started');
    return this.#process;
  }

  /** A command of the operator on the edge's host; its standard output. */
  connector(...args: string[]): Promise<string> {
    return this.edge.run([CONNECTOR, ...args, '--edge', this.dataDirectory]);
  }

  /** Creates a connector for a site with its prefixes; its join token. */
  async create(site: Site, ...options: string[]): Promise<string> {
    const routes = site.prefixes.flatMap((prefix) => ['--route', prefix]);
    const text = await this.connector('create', site.name, ...routes, ...options, '--json');
    return (JSON.parse(text) as { joinToken: string }).joinToken;
  }

  /** Creates a connector for each site and starts its gateway. */
  async joinAll(): Promise<void> {
    const tokens: string[] = [];
    for (const site of this.sites) tokens.push(await this.create(site));
    await Promise.all(this.sites.map((site, i) => site.up('--token', tokens[i]!)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lab.close();
  }
}

async function openSite(lab: Lab, internet: Namespace, plan: SitePlan): Promise<Site> {
  const { name, number } = plan;
  const [nat, gateway, host] = await lab.namespaces(`nat-${name}`, `gw-${name}`, `host-${name}`);
  const site = new Site(plan, [nat, gateway, host]);
  const lan = plan.lan ?? number;
  await connect(
    { namespace: host, link: 'eth0', addresses: [`10.${lan}.0.10/24`, `fd0${lan}::10/64`] },
    { namespace: gateway, link: 'lan0', addresses: [`10.${lan}.0.1/24`, `fd0${lan}::1/64`] },
  );
  await connect(
    {
      namespace: gateway,
      link: 'wan0',
      addresses: [`192.168.${number}.2/24`, `fd${number}0::2/64`],
    },
    { namespace: nat, link: 'lan0', addresses: [`192.168.${number}.1/24`, `fd${number}0::1/64`] },
  );
  await connect(
    {
      namespace: nat,
      link: 'wan0',
      addresses: [`198.51.${number}.2/24`, `2001:db8:${number}::2/64`],
    },
    {
      namespace: internet,
      link: `site-${name}`,
      addresses: [`198.51.${number}.1/24`, `2001:db8:${number}::1/64`],
    },
  );
  await host.ip(`route add default via 10.${lan}.0.1`, `route add default via fd0${lan}::1`);
  await gateway.ip(
    `route add default via 192.168.${number}.1`,
    `route add default via fd${number}0::1`,
  );
  await nat.ip(
    `route add default via 198.51.${number}.1`,
    `route add default via 2001:db8:${number}::1`,
  );
  await nat.forward();
  // Only what answers comes in, and every flow gets a port by chance.
  await nat.nft(`
    table inet nat {
      chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan0" accept
      }
      chain postrouting {
        type nat hook postrouting priority 100
        oifname "wan0" masquerade random,fully-random
      }
    }`);
  return site;
}
