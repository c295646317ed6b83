/**
 * Two gateways that meet at an edge's relay, each behind a NAT that lets nothing in and gives every
 * flow a random port:
 *
 *      west ═══════════ natw ═══════════ edge ═══════════ nate ═══════════ east
 *   192.168.1.2     masquerade        relay on 10.9.0.1     masquerade     192.168.2.2
 *   fd01::2                                  fd90::1                       fd02::2
 *   wg0 10.77.0.1                                                wg0 10.77.0.2
 *   fd77::1                                                      fd77::2
 *
 * Without NATs the gateways are joined to the edge directly, as 10.9.1.2 and 10.9.2.2.
 */
import { join } from 'node:path';
import { keyFromBase64 } from '../src/keys.ts';
import { parseAddress } from '../src/routing/address.ts';
import {
  ALLOWED_IP_RECORD,
  type DeviceChange,
  type PeerChange,
  type PeerEndpoint,
} from '../src/wireguard/configuration.ts';
import { generateKeyPair, type KeyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { connect, type Namespace } from './namespace.ts';
import type { Process } from './process.ts';
import { INNER, INNER6 } from './tunnel-pair.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');

/** For programs that are compiled as they start, on a busy machine. */
const START_SECONDS = 60;

export const RELAY_PORT = 41_641;
export const EDGE = { 4: '10.9.0.1', 6: 'fd90::1' } as const;

export interface GatewaySnapshot {
  readonly listenPort: number;
  readonly drops: Readonly<Record<string, number>>;
  readonly peers: readonly {
    readonly publicKey: string;
    readonly endpoint: string | undefined;
    readonly relayId: number;
    readonly lastHandshake: number;
    readonly rxBytes: number;
    readonly txBytes: number;
  }[];
}

export interface RelaySnapshot {
  readonly bound: number;
  readonly forwardedPackets: number;
  readonly forwardedBytes: number;
  readonly drops: readonly (readonly [string, number])[];
  readonly pairs: readonly { from: number; to: number; packets: number; bytes: number }[];
  readonly bindings: readonly { relayId: number; endpoint: string }[];
}

export function endpoint(host: string, port: number, relayId = 0): PeerEndpoint {
  const { family, address } = parseAddress(host)!;
  return { family, address, port, scope: 0, relayId };
}

/** Host prefixes as packed records. */
function hostPrefixes(...addresses: readonly string[]): Uint8Array {
  const records = new Uint8Array(addresses.length * ALLOWED_IP_RECORD);
  for (const [i, text] of addresses.entries()) {
    const { family, address } = parseAddress(text)!;
    const at = i * ALLOWED_IP_RECORD;
    records[at + 1] = family;
    records[at + 2] = address.length * 8;
    records.set(address, at + 4);
  }
  return records;
}

/** A gateway's data plane, configured as its netmap will. */
export class MeshGateway {
  readonly namespace: Namespace;
  readonly keys: KeyPair;
  readonly relayId: number;
  process: Process;

  private constructor(namespace: Namespace, keys: KeyPair, relayId: number, process: Process) {
    this.namespace = namespace;
    this.keys = keys;
    this.relayId = relayId;
    this.process = process;
  }

  static async start(
    namespace: Namespace,
    relayId: number,
    keys = generateKeyPair(),
  ): Promise<MeshGateway> {
    const command = [process.execPath, join(PROGRAMS, 'mesh-gateway.ts'), 'wg0'];
    const started = namespace.start(command);
    await started.line(/^ready/, START_SECONDS);
    return new MeshGateway(namespace, keys, relayId, started);
  }

  async apply(change: DeviceChange): Promise<void> {
    const text = JSON.stringify(change, (_, value) => {
      return value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value;
    });
    const answer = this.process.nextLine(/^(done|refused.*)/);
    this.process.write(`apply ${text}\n`);
    const [said] = await answer;
    if (said !== 'done') throw new Error(said);
  }

  async snapshot(): Promise<GatewaySnapshot> {
    const answer = this.process.nextLine(/^\{.*\}$/);
    this.process.write('snapshot\n');
    return JSON.parse((await answer)[0]) as GatewaySnapshot;
  }

  /** Its own key, the edge as peer and relay, and the other gateways behind the relay. */
  async join(mesh: RelayMesh, underlay: 4 | 6, ...others: readonly PeerChange[]): Promise<void> {
    const edge = endpoint(EDGE[underlay], RELAY_PORT);
    const publicKey = keyFromBase64(mesh.edgeKeys.publicKey)!;
    await this.apply({
      privateKey: keyFromBase64(this.keys.privateKey)!,
      relays: [{ ...edge, publicKey }],
      peers: [
        {
          publicKey,
          endpoint: edge,
          persistentKeepalive: 20,
        },
        ...others,
      ],
    });
  }

  /** As a peer of another gateway. */
  asPeer(underlay: 4 | 6, addresses: readonly string[]): PeerChange {
    return {
      publicKey: keyFromBase64(this.keys.publicKey)!,
      endpoint: endpoint(EDGE[underlay], RELAY_PORT, this.relayId),
      allowedIps: hostPrefixes(...addresses),
    };
  }
}

/** Sends datagrams to the relay as they stand, from wherever it is told to pretend to be. */
export class Attacker {
  readonly #process: Process;

  private constructor(process: Process) {
    this.#process = process;
  }

  static async start(
    namespace: Namespace,
    from?: { address: string; port: number },
  ): Promise<Attacker> {
    const target = [EDGE[4], String(RELAY_PORT)];
    const source = from ? [from.address, String(from.port)] : [];
    const command = [process.execPath, join(PROGRAMS, 'datagrams.ts'), ...target, ...source];
    const started = namespace.start(command);
    await started.line(/^ready/, START_SECONDS);
    return new Attacker(started);
  }

  /** Sends each `times` times; how many datagrams came back, ever. */
  async send(datagrams: readonly Uint8Array[], times = 1): Promise<number> {
    const answer = this.#process.nextLine(/^sent \d+ answered (\d+)/, START_SECONDS);
    for (const bytes of datagrams) {
      this.#process.write(`${Buffer.from(bytes).toString('hex')} ${times}\n`);
    }
    this.#process.write('\n');
    return Number((await answer)[1]);
  }
}

export interface MeshSettings {
  /** IP version under the tunnels; default 4. */
  readonly underlay?: 4 | 6;
  /** Default true. */
  readonly nat?: boolean;
}

export class RelayMesh implements AsyncDisposable {
  readonly lab = new Lab();
  readonly edgeKeys = generateKeyPair();
  readonly underlay: 4 | 6;
  readonly nat: boolean;
  edge!: Namespace;
  relay!: Process;
  west!: MeshGateway;
  east!: MeshGateway;
  /** By number of the site; none without NATs. */
  readonly #nats = new Map<1 | 2, Namespace>();

  private constructor({ underlay = 4, nat = true }: MeshSettings) {
    this.underlay = underlay;
    this.nat = nat;
  }

  static async open(settings: MeshSettings = {}): Promise<RelayMesh> {
    const mesh = new RelayMesh(settings);
    try {
      await mesh.#open();
      return mesh;
    } catch (error) {
      mesh.lab.close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const [edge, west, east] = await this.lab.namespaces('edge', 'west', 'east');
    this.edge = edge;
    await edge.ip(`address add ${EDGE[4]}/32 dev lo`, `address add ${EDGE[6]}/128 dev lo nodad`);
    await this.#site(west, 1);
    await this.#site(east, 2);
    [this.west, this.east] = await Promise.all([
      MeshGateway.start(west, 101),
      MeshGateway.start(east, 102),
    ]);
    await this.startRelay();
    const { underlay } = this;
    const [left, right] = [
      [INNER.left, INNER6.left],
      [INNER.right, INNER6.right],
    ] as const;
    await this.west.join(this, underlay, this.east.asPeer(underlay, right));
    await this.east.join(this, underlay, this.west.asPeer(underlay, left));
    await up(west, left);
    await up(east, right);
    await Promise.all([this.west, this.east].map((gateway) => this.isBound(gateway.relayId)));
  }

  /** Joins a site to the edge, through a NAT or without one. */
  async #site(gateway: Namespace, n: 1 | 2): Promise<void> {
    const outside = {
      namespace: this.edge,
      link: `site${n}`,
      addresses: [`10.9.${n}.1/24`, `fd9${n}::1/64`],
    };
    const toEdge = [`10.9.${n}.2/24`, `fd9${n}::2/64`];
    if (!this.nat) {
      await connect({ namespace: gateway, link: 'eth0', addresses: toEdge }, outside);
      await defaultRoutes(gateway, `10.9.${n}.1`, `fd9${n}::1`);
      return;
    }
    const nat = await this.lab.namespace(`nat${n}`);
    this.#nats.set(n, nat);
    await connect({ namespace: nat, link: 'outside', addresses: toEdge }, outside);
    await connect(
      { namespace: gateway, link: 'eth0', addresses: [`192.168.${n}.2/24`, `fd0${n}::2/64`] },
      {
        namespace: nat,
        link: 'inside',
        addresses: [`192.168.${n}.1/24`, `192.168.${n}.254/24`, `fd0${n}::1/64`],
      },
    );
    await defaultRoutes(gateway, `192.168.${n}.1`, `fd0${n}::1`);
    await defaultRoutes(nat, `10.9.${n}.1`, `fd9${n}::1`);
    await nat.forward();
    await nat.nft(`
      table inet nat {
        chain postrouting {
          type nat hook postrouting priority srcnat
          oifname outside masquerade random,fully-random
        }
        chain forward {
          type filter hook forward priority 0; policy drop
          iifname inside accept
          ct state established,related accept
        }
        chain input {
          type filter hook input priority 0; policy drop
          iifname lo accept
          iifname outside udp dport 1-65535 drop
          accept
        }
      }`);
  }

  /**
   * The NAT of a site forgets all mappings, as when it restarts: masquerading ends with the address.
   * What goes out next gets another port, and what comes in for the old one is dropped. The gateway
   * behind it sees nothing of that.
   */
  async forgetMappings(n: 1 | 2): Promise<void> {
    const nat = this.#nats.get(n)!;
    await nat.ip(
      `address del 10.9.${n}.2/24 dev outside`,
      `address add 10.9.${n}.2/24 dev outside`,
      `route add default via 10.9.${n}.1`,
    );
  }

  /** What the relay knows from its registry. */
  replicas(): { relayId: number; publicKey: string; vnet: string }[] {
    return [this.west, this.east].map(({ relayId, keys }) => {
      return { relayId, publicKey: keys.publicKey, vnet: 'default' };
    });
  }

  /** Starts the relay; after a restart it finds its bindings again. */
  async startRelay(): Promise<void> {
    const options = {
      port: RELAY_PORT,
      privateKey: this.edgeKeys.privateKey,
      bindingsFile: join(this.edge.folder, 'bindings.json'),
      replicas: this.replicas(),
    };
    const command = [process.execPath, join(PROGRAMS, 'relay.ts'), JSON.stringify(options)];
    this.relay = this.edge.start(command);
    await this.relay.line(/^ready/, START_SECONDS);
  }

  async setReplicas(changes: readonly object[]): Promise<void> {
    const answer = this.relay.nextLine(/^done/);
    this.relay.write(`replicas ${JSON.stringify(changes)}\n`);
    await answer;
  }

  async statistics(): Promise<RelaySnapshot> {
    const answer = this.relay.nextLine(/^\{"bound".*\}$/);
    this.relay.write('statistics\n');
    return JSON.parse((await answer)[0]) as RelaySnapshot;
  }

  async drops(): Promise<Record<string, number>> {
    return Object.fromEntries((await this.statistics()).drops);
  }

  /** Waits until the relay has said so. */
  async isBound(relayId: number, seconds = 10): Promise<string> {
    const [, found] = await this.relay.line(new RegExp(`^bound ${relayId} (.*)`), seconds);
    return found!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lab.close();
  }
}

async function defaultRoutes(from: Namespace, via4: string, via6: string): Promise<void> {
  await from.ip(`route add default via ${via4}`, `route add default via ${via6}`);
}

async function up(namespace: Namespace, [v4, v6]: readonly [string, string]): Promise<void> {
  await namespace.ip(
    `address add ${v4}/24 dev wg0`,
    `address add ${v6}/64 dev wg0 nodad`,
    'link set wg0 mtu 1420 up',
  );
}
