/**
 * Two sites behind their gateways, and an internet between them that knows neither site:
 *
 *     host-a            gateway-a          internet          gateway-b            host-b
 *   10.1.0.10 ─ lan ─ 10.1.0.1                                10.2.0.1 ─ lan ─ 10.2.0.10
 *   fd01::10          fd01::1                                  fd02::1          fd02::10
 *                     198.51.100.2 ─ wan ─ .1     .1 ─ wan ─ 203.0.113.2
 *
 * The hosts have an address and a default route to their gateway, nothing else.
 */
import { join } from 'node:path';
import { generateKeyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { connect, type Namespace } from './namespace.ts';
import { watchPings } from './seen.ts';

export const CONNECTOR = join(import.meta.dirname, '../bin/connector');
const PORT = 51820;

export interface Site {
  readonly name: string;
  readonly gateway: Namespace;
  readonly host: Namespace;
  readonly address: Readonly<Record<4 | 6, string>>;
  /** Configuration of the gateway's tunnel. */
  readonly file: string;
}

interface SitePlan {
  readonly name: string;
  readonly lan: number;
  /** Network of the wide-area link, without its last number. */
  readonly wan: string;
}

const PLANS = [
  { name: 'A', lan: 1, wan: '198.51.100' },
  { name: 'B', lan: 2, wan: '203.0.113' },
] as const satisfies readonly SitePlan[];

export class TwoSites implements AsyncDisposable {
  readonly a: Site;
  readonly b: Site;
  readonly internet: Namespace;
  readonly #lab: Lab;

  private constructor(lab: Lab, internet: Namespace, a: Site, b: Site) {
    this.#lab = lab;
    this.internet = internet;
    this.a = a;
    this.b = b;
  }

  static async open(): Promise<TwoSites> {
    const lab = new Lab();
    try {
      const internet = await lab.namespace('internet');
      await internet.forward();
      await watchInternet(internet);
      const keys = [generateKeyPair(), generateKeyPair()] as const;
      const [a, b] = await Promise.all([
        openSite(lab, internet, PLANS[0], PLANS[1], keys[0].privateKey, keys[1].publicKey),
        openSite(lab, internet, PLANS[1], PLANS[0], keys[1].privateKey, keys[0].publicKey),
      ]);
      return new TwoSites(lab, internet, a, b);
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lab.close();
  }
}

async function openSite(
  lab: Lab,
  internet: Namespace,
  plan: SitePlan,
  other: SitePlan,
  privateKey: string,
  otherPublicKey: string,
): Promise<Site> {
  const label = plan.name.toLowerCase();
  const [gateway, host] = await lab.namespaces(`gateway-${label}`, `host-${label}`);
  const { lan, wan } = plan;
  await connect(
    { namespace: host, link: 'eth0', addresses: [`10.${lan}.0.10/24`, `fd0${lan}::10/64`] },
    { namespace: gateway, link: 'lan0', addresses: [`10.${lan}.0.1/24`, `fd0${lan}::1/64`] },
  );
  await connect(
    { namespace: gateway, link: 'wan0', addresses: [`${wan}.2/24`] },
    { namespace: internet, link: `wan-${label}`, addresses: [`${wan}.1/24`] },
  );
  await host.ip(`route add default via 10.${lan}.0.1`, `route add default via fd0${lan}::1`);
  await gateway.ip(`route add default via ${wan}.1`);
  await gateway.forward();
  await watchPings(host);
  const file = gateway.file(
    'site.conf',
    `[Interface]
PrivateKey = ${privateKey}
ListenPort = ${PORT}
Address = 100.96.0.${lan}/32

[Peer]
PublicKey = ${otherPublicKey}
AllowedIPs = 10.${other.lan}.0.0/24, fd0${other.lan}::/64, 100.96.0.${other.lan}/32
Endpoint = ${other.wan}.2:${PORT}
`,
  );
  const address = { 4: `10.${lan}.0.10`, 6: `fd0${lan}::10` };
  return { name: plan.name, gateway, host, address, file };
}

/** Has the internet count what passes: WireGuard, and anything else. */
function watchInternet(internet: Namespace): Promise<void> {
  return internet.nft(`
    table inet seen {
      counter sealed { }
      counter other { }
      chain forward {
        type filter hook forward priority 0
        udp dport ${PORT} udp sport ${PORT} counter name sealed accept
        counter name other
      }
    }`);
}

/** Packets that crossed the internet. */
export async function crossed(internet: Namespace): Promise<{ sealed: number; other: number }> {
  const count = async (name: string): Promise<number> => {
    const text = await internet.run(['nft', 'list', 'counter', 'inet', 'seen', name]);
    return Number(/packets (\d+)/.exec(text)![1]);
  };
  return { sealed: await count('sealed'), other: await count('other') };
}
