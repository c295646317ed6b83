/** A WireGuard interface in a namespace, served by one of the implementations, driven by `wg`. */
import { existsSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Implementation } from './implementation.ts';
import { generateKeyPair, type KeyPair } from './keys.ts';
import type { Namespace } from './namespace.ts';
import { before, type Process } from './process.ts';

/** A peer as `wg show IFNAME dump` tells it. */
export interface PeerStatus {
  readonly publicKey: string;
  readonly presharedKey: string;
  readonly endpoint: string;
  readonly allowedIps: readonly string[];
  /** Seconds since the epoch, 0 = never. */
  readonly latestHandshake: number;
  readonly received: number;
  readonly sent: number;
  readonly keepalive: string;
}

export interface PeerSettings {
  readonly publicKey: string;
  readonly allowedIps: readonly string[];
  readonly endpoint?: string;
  readonly presharedKey?: string;
  readonly keepalive?: number;
}

/** The text of a configuration file as `wg setconf` takes it. */
export function configuration(
  keys: KeyPair,
  port: number | undefined,
  peers: readonly PeerSettings[],
): string {
  const lines = ['[Interface]', `PrivateKey = ${keys.privateKey}`];
  if (port !== undefined) lines.push(`ListenPort = ${port}`);
  for (const peer of peers) {
    lines.push('', '[Peer]', `PublicKey = ${peer.publicKey}`);
    if (peer.presharedKey) lines.push(`PresharedKey = ${peer.presharedKey}`);
    if (peer.allowedIps.length > 0) lines.push(`AllowedIPs = ${peer.allowedIps.join(', ')}`);
    if (peer.endpoint) lines.push(`Endpoint = ${peer.endpoint}`);
    if (peer.keepalive) lines.push(`PersistentKeepalive = ${peer.keepalive}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Waits until a condition on the files of a folder holds; looks whenever one changes. */
async function folderBecomes(folder: string, holds: () => boolean, what: string): Promise<void> {
  const watcher = watch(folder);
  try {
    const changed = new Promise<void>((resolve) => {
      const look = (): void => {
        if (holds()) resolve();
      };
      watcher.on('change', look);
      look();
    });
    await before(15, changed, what);
  } finally {
    watcher.close();
  }
}

export function fileIsGone(path: string): Promise<void> {
  return folderBecomes(dirname(path), () => !existsSync(path), `${path} to be gone`);
}

/** Tells a file from another one that takes its place; undefined if there is none. */
function identity(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${found.ino} ${found.ctimeMs}`;
}

export class Device {
  readonly namespace: Namespace;
  readonly name: string;
  readonly keys: KeyPair;
  /** The daemon in the foreground, our child. */
  process: Process;

  private constructor(namespace: Namespace, name: string, keys: KeyPair, process: Process) {
    this.namespace = namespace;
    this.name = name;
    this.keys = keys;
    this.process = process;
  }

  get socket(): string {
    return join(this.namespace.sockets, `${this.name}.sock`);
  }

  /** Starts the daemon in the foreground and waits for its configuration socket. */
  static async start(
    namespace: Namespace,
    implementation: Implementation,
    name = 'wg0',
    keys = generateKeyPair(),
  ): Promise<Device> {
    const process = await startDaemon(namespace, implementation, name);
    return new Device(namespace, name, keys, process);
  }

  /** Starts the daemon anew, after it was stopped or killed. It knows nothing any more. */
  async restart(implementation: Implementation): Promise<void> {
    this.process = await startDaemon(this.namespace, implementation, this.name);
  }

  wg(...args: string[]): Promise<string> {
    return this.namespace.run(['wg', ...args]);
  }

  /** Replaces the whole configuration. */
  async configure(port: number | undefined, ...peers: PeerSettings[]): Promise<void> {
    const text = configuration(this.keys, port, peers);
    await this.wg('setconf', this.name, this.namespace.file(`${this.name}.conf`, text));
  }

  /** `wg set IFNAME …` */
  async set(...args: string[]): Promise<void> {
    await this.wg('set', this.name, ...args);
  }

  /** Gives the interface its addresses and brings it up. */
  async up(addresses: readonly string[], mtu = 1420): Promise<void> {
    const added = addresses.map((address) => {
      return `address add ${address} dev ${this.name}${address.includes(':') ? ' nodad' : ''}`;
    });
    await this.namespace.ip(...added, `link set ${this.name} mtu ${mtu} up`);
  }

  async listenPort(): Promise<number> {
    return Number(await this.wg('show', this.name, 'listen-port'));
  }

  async peers(): Promise<PeerStatus[]> {
    const [, ...lines] = (await this.wg('show', this.name, 'dump')).trim().split('\n');
    return lines.map((line) => {
      const [publicKey, presharedKey, endpoint, allowed, handshake, received, sent, keepalive] =
        line.split('\t') as [string, string, string, string, string, string, string, string];
      return {
        publicKey,
        presharedKey,
        endpoint,
        allowedIps: allowed === '(none)' ? [] : allowed.split(','),
        latestHandshake: Number(handshake),
        received: Number(received),
        sent: Number(sent),
        keepalive,
      };
    });
  }

  async peer(publicKey: string): Promise<PeerStatus> {
    const found = (await this.peers()).find((peer) => peer.publicKey === publicKey);
    if (!found) throw new Error(`${this.name} has no peer ${publicKey}`);
    return found;
  }
}

async function startDaemon(
  namespace: Namespace,
  { command, options, environment }: Implementation,
  name: string,
): Promise<Process> {
  const path = join(namespace.sockets, `${name}.sock`);
  // A killed daemon leaves its socket behind.
  const stale = identity(path);
  const process = namespace.start([command, '-f', ...options, name], {
    LOG_LEVEL: 'error',
    ...environment,
  });
  const isNew = (): boolean => existsSync(path) && identity(path) !== stale;
  const socket = folderBecomes(namespace.sockets, isNew, `${path} to be made`);
  const ended = process.exited.then((code) => {
    throw new Error(`${command} ended with ${code}\n${process.lines.join('\n')}`);
  });
  // A daemon that ends later is no error of the start.
  ended.catch(() => undefined);
  await Promise.race([socket, ended]);
  return process;
}
