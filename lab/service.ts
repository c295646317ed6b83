/** The TCP and UDP service in one namespace, and what clients in other namespaces ask of it. */
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import type { Process } from './process.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');

function program(name: string, ...args: (string | number)[]): string[] {
  return [process.execPath, join(PROGRAMS, name), ...args.map(String)];
}

export async function startService(namespace: Namespace, port: number): Promise<Process> {
  const service = namespace.start(program('service.ts', port));
  await service.line(/ready/);
  return service;
}

export interface ProxySettings {
  readonly port: number;
  readonly host: string;
  readonly hostPort: number;
  /** Milliseconds. */
  readonly delay?: number;
  readonly jitter?: number;
  /** Probability. */
  readonly loss?: number;
}

/** Starts a UDP proxy that delays, reorders and loses datagrams. */
export async function startUdpProxy(namespace: Namespace, proxy: ProxySettings): Promise<Process> {
  const { port, host, hostPort, delay = 0, jitter = 0, loss = 0 } = proxy;
  const started = namespace.start(
    program('udp-proxy.ts', port, host, hostPort, delay, jitter, loss),
  );
  await started.line(/ready/);
  return started;
}

/** What a service saw of a client. */
export interface Seen {
  readonly from: string;
  readonly port: number;
  readonly milliseconds: number;
}

/** A client in a namespace, towards the service on one host and port. */
export class ServiceClient {
  readonly #namespace: Namespace;
  readonly #target: readonly [string, number];

  constructor(namespace: Namespace, host: string, port: number) {
    this.#namespace = namespace;
    this.#target = [host, port];
  }

  async #ask(mode: string, ...args: number[]): Promise<unknown> {
    const command = program('client.ts', mode, ...this.#target, ...args);
    return JSON.parse(await this.#namespace.run(command));
  }

  who(transport: 'tcp' | 'udp'): Promise<Seen> {
    return this.#ask(transport === 'tcp' ? 'who' : 'who-udp') as Promise<Seen>;
  }

  bulk(bytes: number): Promise<{ seconds: number; mbits: number }> {
    return this.#ask('bulk', bytes) as Promise<{ seconds: number; mbits: number }>;
  }

  /** Sends random bytes by TCP; fails unless the same come back. */
  async echo(bytes: number): Promise<void> {
    await this.#ask('echo', bytes);
  }

  /** Sends a datagram of each size; fails unless the same come back. */
  async datagrams(...sizes: number[]): Promise<void> {
    await this.#ask('datagrams', ...sizes);
  }

  /** Keeps a connection open: what is written to it comes back as its lines. */
  stream(): Process {
    return this.#namespace.start(program('client.ts', 'stream', ...this.#target));
  }
}
