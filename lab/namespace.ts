/**
 * Network namespaces made for one test, demo or benchmark: the only place where the lab sends
 * traffic. Each has its own sockets of daemons, so that every one of them can have a `wg0`.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FOLDERS, guardExit, OWNER, removeNamespace } from './leftovers.ts';
import { attempt, Process, type Result, type RunOptions, run } from './process.ts';

/** Where daemons put their sockets: each namespace has a folder of its own mounted there. */
const RUNTIME = ['wireguard', 'causeway'] as const;

/** Runs a command in the namespace's view of /run, without a wrapper left. */
const ENTER = RUNTIME.map((name) => `mount --bind "$0/${name}" /run/${name} && `).join('');

let serial = 0;

export class Namespace {
  /** As `ip netns` knows it. */
  readonly name: string;
  readonly label: string;
  /** Files of this namespace; removed with it. */
  readonly folder: string;
  /** What programs in it see as /run/wireguard. */
  readonly sockets: string;

  private constructor(label: string) {
    serial += 1;
    this.label = label;
    this.name = `${OWNER}${serial}-${label}`;
    this.folder = join(FOLDERS, this.name);
    this.sockets = join(this.folder, 'wireguard');
  }

  static async open(label: string): Promise<Namespace> {
    guardExit();
    const namespace = new Namespace(label);
    for (const name of RUNTIME) {
      mkdirSync(join(namespace.folder, name), { recursive: true, mode: 0o700 });
      mkdirSync(join('/run', name), { recursive: true, mode: 0o700 });
    }
    await run(['ip', 'netns', 'add', namespace.name]);
    await namespace.ip('link set lo up');
    await namespace.sysctl({
      // A new namespace has it from the first one, where Docker for example switches it on.
      'net.ipv4.ip_forward': 0,
      // No link-local address of the kernel's making: it would appear some time after the link is up.
      'net.ipv6.conf.default.addr_gen_mode': 1,
    });
    return namespace;
  }

  close(): void {
    removeNamespace(this.name);
  }

  #inside(command: readonly string[]): string[] {
    return [
      'ip',
      'netns',
      'exec',
      this.name,
      'sh',
      '-c',
      `${ENTER}exec "$@"`,
      this.folder,
      ...command,
    ];
  }

  /** Runs a command that must succeed; its standard output. */
  run(command: readonly string[], options?: RunOptions): Promise<string> {
    return run(this.#inside(command), options);
  }

  /** Runs a command to its end, whatever its exit code. */
  attempt(command: readonly string[], options?: RunOptions): Promise<Result> {
    return attempt(this.#inside(command), options);
  }

  /** Starts a program in the background. It ends with the namespace at the latest. */
  start(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Process {
    const [program, ...args] = this.#inside(command) as [string, ...string[]];
    const child = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return new Process(child, `${this.label}: ${command.join(' ')}`);
  }

  /** Applies `ip` commands, one on a line, in one go. */
  async ip(...lines: string[]): Promise<void> {
    await run(['ip', '-netns', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Applies nftables commands. */
  async nft(rules: string): Promise<void> {
    await this.run(['nft', '-f', this.file('rules.nft', rules)]);
  }

  /** Sets kernel parameters of this namespace: `net.ipv4.ip_forward`, 1. */
  async sysctl(values: Readonly<Record<string, string | number>>): Promise<void> {
    const settings = Object.entries(values).map(([name, value]) => `${name}=${value}`);
    await this.run(['sysctl', '-qw', ...settings]);
  }

  /** Makes it route between its links, as a gateway does. */
  async forward(): Promise<void> {
    await this.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
  }

  /** Writes a file into the namespace's folder; its path. Only its owner can read it. */
  file(name: string, contents: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, contents, { mode: 0o600 });
    return path;
  }
}

export interface LinkEnd {
  readonly namespace: Namespace;
  /** Name of the link in its namespace. */
  readonly link: string;
  /** With prefix length, `10.0.0.1/24`; IPv6 is used without duplicate address detection. */
  readonly addresses?: readonly string[];
}

/**
 * Joins two namespaces by a veth pair and brings it up. Its ends have the link-local addresses
 * fe80::1 and fe80::2: a router needs one to find its neighbours.
 */
export async function connect(a: LinkEnd, b: LinkEnd, mtu = 1500): Promise<void> {
  const peer = `peer name ${b.link} netns ${b.namespace.name} mtu ${mtu}`;
  await a.namespace.ip(`link add name ${a.link} mtu ${mtu} type veth ${peer}`);
  for (const [i, { namespace, link, addresses = [] }] of [a, b].entries()) {
    const added = [`fe80::${i + 1}/64`, ...addresses].map(
      (address) => `address add ${address} dev ${link}${address.includes(':') ? ' nodad' : ''}`,
    );
    await namespace.ip(...added, `link set ${link} up`);
  }
  for (const end of [a, b]) await hasCarrier(end);
}

/** The kernel notices some moments after both ends are up; each look gives it another one. */
async function hasCarrier({ namespace, link }: LinkEnd): Promise<void> {
  const deadline = performance.now() + 5_000;
  const look = ['ip', '-netns', namespace.name, '-o', 'link', 'show', link];
  while (!(await run(look)).includes('state UP')) {
    if (performance.now() > deadline) throw new Error(`${namespace.label}: ${link} has no carrier`);
  }
}
