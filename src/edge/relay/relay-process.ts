/**
 * The relay of an edge, as the main thread holds it: a worker thread of its own that binds replicas
 * and forwards their ciphertext (DESIGN § 2). Counters are in shared memory, so that looking at them
 * costs the worker nothing.
 */
import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import { PairCounters } from '../../control/relay/pair-counters.ts';
import { DEFAULT_RELAY_LIMITS } from '../../control/relay/relay-core.ts';
import { RelayDropCounters } from '../../control/relay/relay-drops.ts';
import { DropCounters } from '../../drops.ts';
import { CausewayError } from '../../errors.ts';
import { KEY_SIZE } from '../../keys.ts';
import { SOCKET_BUFFER } from '../../udp/udp-sockets.ts';
import { readBindings, writeBindings } from './bindings-file.ts';
import type {
  BindingListener,
  RelayBinding,
  RelayOptions,
  RelayProcess,
  RelayReplicaChange,
  RelayStatistics,
} from './relay.ts';
import {
  type BindingChange,
  type RelayCommand,
  type RelayFigures,
  type RelayReport,
  type RelayWorkerOptions,
  shareRelayFigures,
} from './relay-messages.ts';

export type * from './relay.ts';

/** The worker's file has this file's ending: `.ts` in a checkout, `.js` when built. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './relay-worker.ts' : './relay-worker.js',
  import.meta.url,
);

/** The hot path allocates nothing: the garbage of handshakes and commands needs little room. */
const YOUNG_GENERATION_MB = 3;
/** Milliseconds from a change of the bindings to its being on disk. */
const WRITE_AFTER = 2_000;
/** Milliseconds after which the file is written anew even if nothing has changed. */
const WRITE_AGAIN = 60_000;

/** Ms: one `ss -K` takes the socket of one family after that of the other. */
const SAY_AGAIN = 60_000;

const { EADDRINUSE, EACCES, EPERM } = constants.errno;

type Ready = Extract<RelayReport, { kind: 'ready' }>;
type Reply = { readonly resolve: () => void; readonly reject: (error: Error) => void };

class WorkerRelay implements RelayProcess {
  readonly port: number;
  readonly publicKey: Uint8Array;
  readonly closed: Promise<Error | undefined>;
  readonly #worker: Worker;
  readonly #options: RelayOptions;
  readonly #forwarded: Float64Array;
  readonly #relayDrops: RelayDropCounters;
  readonly #deviceDrops: DropCounters;
  readonly #pairs: PairCounters;
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

  constructor(worker: Worker, options: RelayOptions, figures: RelayFigures, ready: Ready) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    this.#end = resolve;
    this.#worker = worker;
    this.#options = options;
    this.port = ready.port;
    this.publicKey = ready.publicKey;
    this.#forwarded = new Float64Array(figures.forwarded);
    this.#relayDrops = new RelayDropCounters(figures.relayDrops);
    this.#deviceDrops = new DropCounters(figures.deviceDrops);
    this.#pairs = new PairCounters(DEFAULT_RELAY_LIMITS.pairs, figures.pairs);
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

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#writing);
    clearInterval(this.#writeAgain);
    if (this.#options.bindingsFile !== undefined) {
      const exported = new Promise<void>((resolve) => {
        this.#exported = resolve;
      });
      this.#post({ kind: 'export' });
      await Promise.race([exported, this.#exited]);
    }
    this.#post({ kind: 'close' });
    await this.#exited;
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
        this.#write(report.bytes);
        this.#exported?.();
        break;
      case 'reopened':
        this.#onReopened();
        break;
      case 'reopen-failed':
        this.#options.log.error(
          { port: this.port, errno: report.errno },
          "the kernel took the relay's sockets away and its port cannot be opened now: tried until it can",
        );
        break;
      case 'under-load':
        this.#options.log.warn('the relay is under load: handshakes with the edge need cookies');
        break;
    }
  }

  #onReopened(): void {
    const now = performance.now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + SAY_AGAIN;
    this.#options.log.warn("the kernel took the relay's sockets away: they are opened again");
  }

  #onBinding({ relayId, at, endpoint }: BindingChange): void {
    const before = this.#bindings.get(relayId);
    if (endpoint !== undefined) {
      this.#bindings.set(relayId, { relayId, endpoint, since: at });
    } else if (before === undefined) {
      return;
    } else {
      this.#bindings.delete(relayId);
    }
    for (const listener of this.#listeners) {
      listener(relayId, endpoint !== undefined, at, endpoint ?? before!.endpoint);
    }
  }

  #export(): void {
    clearTimeout(this.#writing);
    this.#writing = undefined;
    if (this.#options.bindingsFile !== undefined) this.#post({ kind: 'export' });
  }

  #write(bytes: Uint8Array): void {
    const { bindingsFile, log } = this.#options;
    if (bindingsFile === undefined) return;
    try {
      writeBindings(bindingsFile, bytes, Date.now());
    } catch (error) {
      log.error({ file: bindingsFile, error: String(error) }, 'bindings could not be written');
    }
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

/** What an earlier relay wrote, if it can be used. */
function restore({ bindingsFile, log }: RelayOptions): Uint8Array | undefined {
  if (bindingsFile === undefined) return undefined;
  try {
    return readBindings(bindingsFile, Date.now());
  } catch (error) {
    log.warn({ file: bindingsFile, error: String(error) }, 'bindings could not be read, ignored');
    return undefined;
  }
}

function firstReport(worker: Worker): Promise<RelayReport> {
  const { promise, resolve, reject } = Promise.withResolvers<RelayReport>();
  const onExit = (): void => reject(new Error('the relay ended before it was ready'));
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', onExit);
  return promise.finally(() => {
    worker.off('message', resolve);
    worker.off('error', reject);
    worker.off('exit', onExit);
  });
}

/**
 * Starts the relay; it forwards when this resolves.
 *
 * @throws CausewayError PORT_IN_USE, PERMISSION, ADDON_MISSING, START_FAILED; nothing is left behind
 */
export async function openRelay(options: RelayOptions): Promise<RelayProcess> {
  const figures = shareRelayFigures();
  const { port, privateKey, replicas, mark = 0 } = options;
  const bindings = restore(options);
  const workerData: RelayWorkerOptions = { port, mark, privateKey, replicas, bindings, figures };
  const worker = new Worker(WORKER, {
    workerData,
    name: 'relay',
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  let first: RelayReport;
  try {
    first = await firstReport(worker);
  } catch (error) {
    await worker.terminate();
    const { code, message } = error as { code?: unknown; message: string };
    if (code === 'ADDON_MISSING') throw new CausewayError(code, message);
    throw new CausewayError('START_FAILED', `The relay could not be started: ${message}`, {
      cause: error,
    });
  }
  if (first.kind === 'ready') {
    const warning = bufferWarning(first.receiveBuffer);
    if (warning !== undefined) options.log.warn(warning);
    return new WorkerRelay(worker, options, figures, first);
  }
  await worker.terminate();
  throw openError(options.port, first.kind === 'failed' ? first.errno : 0);
}

/** What to say of a receive buffer of so many bytes; undefined = it is what was asked for. */
export function bufferWarning(receiveBuffer: number): string | undefined {
  if (receiveBuffer >= SOCKET_BUFFER) return undefined;
  const [has, wanted] = [receiveBuffer, SOCKET_BUFFER].map((bytes) => Math.round(bytes / 1_024));
  return `The relay's sockets have a receive buffer of ${has} KiB instead of ${wanted}: bursts may be lost. Set the sysctl net.core.rmem_max to ${SOCKET_BUFFER}, as packaging/sysctl.d does, or give the edge CAP_NET_ADMIN.`;
}

function openError(port: number, errno: number): CausewayError {
  if (errno === EADDRINUSE) {
    return new CausewayError(
      'PORT_IN_USE',
      `UDP port ${port} of the relay is in use: choose another one, or end what uses it.`,
    );
  }
  if (errno === EACCES || errno === EPERM) {
    return new CausewayError(
      'PERMISSION',
      `No permission to open UDP port ${port} of the relay: run as root, or choose a port above 1023.`,
    );
  }
  return new CausewayError(
    'START_FAILED',
    `The relay could not open UDP port ${port} (errno ${errno}).`,
  );
}
