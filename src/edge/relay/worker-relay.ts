/**
 * The relay of an edge, as the main thread holds it: a worker thread of its own that binds replicas
 * and forwards their ciphertext (DESIGN § 2). Counters are in shared memory, so that looking at them
 * costs the worker nothing.
 */
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { PairCounters } from '../../control/relay/pair-counters.ts';
import type { PairClasses } from '../../control/relay/pair-permissions.ts';
import { DEFAULT_RELAY_LIMITS } from '../../control/relay/relay-core.ts';
import { RelayDropCounters } from '../../control/relay/relay-drops.ts';
import { DropCounters } from '../../drops.ts';
import { KEY_SIZE } from '../../keys.ts';
import type { BindingsFile } from './bindings-file.ts';
import { Heartbeat } from './heartbeat.ts';
import type {
  BindingListener,
  RelayBinding,
  RelayProcess,
  RelayReplicaChange,
  RelayStatistics,
} from './relay.ts';
import type { BindingChange, RelayCommand, RelayFigures, RelayReport } from './relay-messages.ts';

/**
 * Milliseconds from a change of the bindings to its being on disk. A replica whose binding is not there
 * when the edge is killed waits for its own next attempt to reach the API.
 */
const WRITE_AFTER = 500;
/** Milliseconds after which the file is written anew even if nothing has changed. */
const WRITE_AGAIN = 60_000;
/** Ms: one `ss -K` takes the socket of one family after that of the other. */
const SAY_AGAIN = 60_000;
/** Milliseconds that the worker may take to end by itself. */
const END_WITHIN = 5_000;

type Ready = Extract<RelayReport, { kind: 'ready' }>;
type Reply = { readonly resolve: () => void; readonly reject: (error: Error) => void };

export interface WorkerRelayParts {
  readonly worker: Worker;
  /** Keeps the bindings; undefined = nothing does. */
  readonly file: BindingsFile | undefined;
  readonly log: Logger;
}

export class WorkerRelay implements RelayProcess {
  readonly port: number;
  readonly publicKey: Uint8Array;
  readonly closed: Promise<Error | undefined>;
  readonly #worker: Worker;
  readonly #file: BindingsFile | undefined;
  readonly #log: Logger;
  readonly #forwarded: Float64Array;
  readonly #relayDrops: RelayDropCounters;
  readonly #deviceDrops: DropCounters;
  readonly #pairs: PairCounters;
  readonly #heartbeat: Heartbeat;
  readonly #bindings = new Map<number, RelayBinding>();
  readonly #listeners = new Set<BindingListener>();
  readonly #replies = new Map<number, Reply>();
  readonly #end: (error: Error | undefined) => void;
  readonly #exited: Promise<void>;
  readonly #writeAgain: NodeJS.Timeout;
  #nextId = 1;
  /** Monotonic ms: until then it is not said again that sockets were lost. */
  #quietUntil = 0;
  #writing: NodeJS.Timeout | undefined;
  #exported: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: WorkerRelayParts, figures: RelayFigures, ready: Ready) {
    const { worker, file, log } = parts;
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    this.#end = resolve;
    this.#worker = worker;
    this.#file = file;
    this.#log = log;
    this.port = ready.port;
    this.publicKey = ready.publicKey;
    this.#forwarded = new Float64Array(figures.forwarded);
    this.#relayDrops = new RelayDropCounters(figures.relayDrops);
    this.#deviceDrops = new DropCounters(figures.deviceDrops);
    this.#pairs = new PairCounters(DEFAULT_RELAY_LIMITS.pairs, figures.pairs);
    this.#heartbeat = new Heartbeat(figures.heartbeat);
    worker.on('message', (report: RelayReport) => this.#onReport(report));
    worker.on('error', (error) => this.#fail(error));
    this.#exited = new Promise((exited) => {
      worker.once('exit', () => {
        exited();
        this.#fail(new Error('the relay has ended'));
      });
    });
    this.#writeAgain = setInterval(() => this.#export(), WRITE_AGAIN).unref();
  }

  setReplicas(changes: readonly RelayReplicaChange[]): Promise<void> {
    for (const change of changes) {
      if (!change.remove && change.publicKey.length !== KEY_SIZE) {
        throw new RangeError(
          `the public key of replica ${change.relayId} is not ${KEY_SIZE} bytes`,
        );
      }
    }
    if (this.#closing !== undefined) return Promise.resolve();
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#replies.set(id, { resolve, reject });
    this.#post({ kind: 'replicas', id, changes: [...changes] });
    return promise;
  }

  setPairs(vnet: string, pairs: PairClasses | undefined): void {
    if (this.#closing === undefined) this.#post({ kind: 'pairs', vnet, pairs });
  }

  onBinding(listener: BindingListener): () => void {
    this.#listeners.add(listener);
    for (const { relayId, since, endpoint } of this.bindings()) {
      listener(relayId, true, since, endpoint);
    }
    return () => this.#listeners.delete(listener);
  }

  bindings(): RelayBinding[] {
    return [...this.#bindings.values()].sort((a, b) => a.relayId - b.relayId);
  }

  statistics(): RelayStatistics {
    return {
      bound: this.#bindings.size,
      forwardedPackets: this.#forwarded[0]!,
      forwardedBytes: this.#forwarded[1]!,
      drops: [...this.#relayDrops.entries(), ...this.#deviceDrops.entries()],
      pairs: this.#pairs.entries().map(({ source, destination, packets, bytes }) => {
        return { from: source, to: destination, packets, bytes };
      }),
    };
  }

  silence(): number {
    return this.#heartbeat.silence;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#writing);
    clearInterval(this.#writeAgain);
    const patience = setTimeout(() => {
      this.#log.error('the relay hangs: it is ended without its consent');
      void this.#worker.terminate();
    }, END_WITHIN);
    if (this.#file !== undefined) {
      const exported = new Promise<void>((resolve) => {
        this.#exported = resolve;
      });
      this.#post({ kind: 'export' });
      await Promise.race([exported, this.#exited]);
    }
    this.#post({ kind: 'close' });
    await this.#exited;
    clearTimeout(patience);
    await this.#file?.settled();
    this.#end(undefined);
  }

  #post(command: RelayCommand): void {
    this.#worker.postMessage(command);
  }

  #onReport(report: RelayReport): void {
    switch (report.kind) {
      case 'applied':
        this.#replies.get(report.id)?.resolve();
        this.#replies.delete(report.id);
        break;
      case 'bindings':
        for (const change of report.changes) this.#onBinding(change);
        this.#writing ??= setTimeout(() => this.#export(), WRITE_AFTER).unref();
        break;
      case 'exported':
        this.#file?.write(report.bytes, Date.now());
        this.#exported?.();
        break;
      case 'reopened':
        this.#onReopened();
        break;
      case 'reopen-failed':
        this.#log.error(
          { port: this.port, errno: report.errno },
          "the kernel took the relay's sockets away and its port cannot be opened now: tried until it can",
        );
        break;
      case 'under-load':
        this.#log.warn('the relay is under load: handshakes with the edge need cookies');
        break;
    }
  }

  #onReopened(): void {
    const now = performance.now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + SAY_AGAIN;
    this.#log.warn("the kernel took the relay's sockets away: they are opened again");
  }

  #onBinding({ relayId, at, endpoint, end }: BindingChange): void {
    const before = this.#bindings.get(relayId);
    if (endpoint !== undefined) {
      this.#bindings.set(relayId, { relayId, endpoint, since: at });
    } else if (before === undefined) {
      return;
    } else {
      this.#bindings.delete(relayId);
    }
    for (const listener of this.#listeners) {
      listener(relayId, endpoint !== undefined, at, endpoint ?? before!.endpoint, end);
    }
  }

  #export(): void {
    clearTimeout(this.#writing);
    this.#writing = undefined;
    if (this.#file !== undefined) this.#post({ kind: 'export' });
  }

  #fail(error: Error): void {
    clearTimeout(this.#writing);
    clearInterval(this.#writeAgain);
    const closing = this.#closing !== undefined;
    for (const { resolve, reject } of this.#replies.values()) closing ? resolve() : reject(error);
    this.#replies.clear();
    if (!closing) this.#end(error);
  }
}
