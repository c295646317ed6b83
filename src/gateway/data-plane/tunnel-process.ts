/**
 * A tunnel of the real data plane, as the main thread holds it: the interface, the worker that
 * carries its packets, the monitor of its link, and the model of its configuration.
 */
import { Worker } from 'node:worker_threads';
import { bytesToHex } from '../../bytes.ts';
import { DropCounters } from '../../drops.ts';
import { CausewayError } from '../../errors.ts';
import type { PublicKey } from '../../keys.ts';
import { type Addon, loadAddon, type OpenedTun } from '../../native/addon.ts';
import { OpensslPrimitives } from '../../native/openssl-primitives.ts';
import { LinkMonitor } from '../../tun/link-monitor.ts';
import { openTun } from '../../tun/tun-device.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import { readEndpoint } from '../../wireguard/endpoint-record.ts';
import type { DeviceEvent } from '../../wireguard/events.ts';
import { createPeerFigures, PeerStatistics } from '../../wireguard/peer-statistics.ts';
import type { CaptureOptions, TunnelCapture } from '../capture/tunnel-capture.ts';
import {
  type OpenTunnel,
  type Tunnel,
  type TunnelEnd,
  TunnelError,
  type TunnelOptions,
  type TunnelSnapshot,
} from '../tunnel.ts';
import { MAX_PEERS, TunnelConfiguration } from '../tunnel-configuration.ts';
import { type Command, type Report, type SharedFigures, shareFigures } from './messages.ts';

/** The worker's file has this file's ending: `.ts` in a checkout, `.js` when built. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** The hot path allocates nothing: the garbage of handshakes and commands needs little room. */
const YOUNG_GENERATION_MB = 3;

type Reply = { readonly resolve: () => void; readonly reject: (error: Error) => void };

class TunnelProcess implements Tunnel {
  readonly interfaceName: string;
  readonly closed: Promise<TunnelEnd>;

  readonly #addon: Addon;
  readonly #tun: OpenedTun;
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;
  readonly #log: TunnelOptions['log'];
  readonly #monitor: LinkMonitor;
  readonly #configuration: TunnelConfiguration;
  readonly #drops: DropCounters;
  readonly #peers: PeerStatistics;
  readonly #numbers = new Map<string, number>();
  readonly #figures = createPeerFigures();
  readonly #replies = new Map<number, Reply>();
  readonly #end: (end: TunnelEnd) => void;
  readonly #crypto: 'noble' | 'openssl';
  #applying: Promise<void> = Promise.resolve();
  #nextId = 1;
  #port = 0;
  #onPath: (publicKey: PublicKey, mtu: number) => void = () => {};
  #socketOffloads: readonly string[] = [];
  #capturing = false;
  /** Called when the data plane captures; set as long as a capture runs. */
  #onCapturing: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    addon: Addon,
    options: TunnelOptions,
    tun: OpenedTun,
    worker: Worker,
    figures: SharedFigures,
    crypto: 'noble' | 'openssl',
  ) {
    const { promise, resolve } = Promise.withResolvers<TunnelEnd>();
    this.closed = promise;
    this.#end = resolve;
    this.#addon = addon;
    this.#tun = tun;
    this.#worker = worker;
    this.#log = options.log;
    this.#crypto = crypto;
    this.interfaceName = tun.name;
    this.#drops = new DropCounters(figures.drops);
    this.#peers = new PeerStatistics(MAX_PEERS, figures.peers);
    const primitives = new OpensslPrimitives(addon);
    this.#configuration = new TunnelConfiguration((privateKey) => {
      // For show only; the worker's own comes from the functions it chose.
      const publicKey = new Uint8Array(32);
      primitives.x25519Base(publicKey, privateKey);
      return publicKey;
    });
    this.#exited = new Promise((exited) => worker.once('exit', exited));
    worker.on('message', (report: Report) => this.#onReport(report));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the data plane has ended')));
    this.#monitor = new LinkMonitor(addon, tun.fd, {
      onLink: (up, mtu) => this.#post({ kind: 'link', up, mtu }),
      onRoutes: () => this.#post({ kind: 'routes-changed' }),
      onGone: () => this.#end({ cause: 'interface-removed' }),
    });
  }

  apply(change: DeviceChange): Promise<void> {
    const applied = this.#applying.then(() => this.#applyNow(change));
    this.#applying = applied.catch(() => undefined);
    return applied;
  }

  async #applyNow(change: DeviceChange): Promise<void> {
    this.#configuration.check(change);
    if (this.#closing !== undefined) throw new TunnelError('ENODEV', 'the tunnel is closing');
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#replies.set(id, { resolve, reject });
    this.#post({ kind: 'apply', id, change });
    await promise;
    this.#configuration.apply(change);
    if (change.replacePeers === true || change.peers.some(({ remove }) => remove === true)) {
      for (const hex of this.#numbers.keys()) {
        if (!this.#configuration.hasPeer(hex)) this.#numbers.delete(hex);
      }
    }
  }

  snapshot(): TunnelSnapshot {
    const statistics = {
      listenPort: this.#port,
      drops: this.#drops.entries(),
      crypto: this.#crypto,
      offloads: [
        ...(this.#tun.tcpOffload ? ['tso'] : []),
        ...(this.#tun.udpOffload ? ['uso'] : []),
        ...this.#socketOffloads,
      ],
    };
    return this.#configuration.snapshot(this.interfaceName, statistics, (publicKey) => {
      const number = this.#numbers.get(bytesToHex(publicKey));
      if (number === undefined) return undefined;
      const figures = this.#figures;
      this.#peers.read(number, figures);
      const { rxBytes, txBytes, lastHandshake, roundTrip, pathMtu } = figures;
      const endpoint = readEndpoint(figures.endpoint);
      const path = { roundTrip, mtu: Math.abs(pathMtu), confirmed: pathMtu > 0 };
      return { rxBytes, txBytes, lastHandshake, endpoint, path };
    });
  }

  async capture({ filter, peers, snaplen }: CaptureOptions): Promise<TunnelCapture> {
    if (this.#capturing) {
      const message = `Another capture runs on ${this.interfaceName}: end it first.`;
      throw new CausewayError('LIMIT_REACHED', message);
    }
    this.#capturing = true;
    const { createCaptureRing } = await import('../capture/capture-ring.ts');
    const { numbersOf, TunnelCapture } = await import('../capture/tunnel-capture.ts');
    const ring = createCaptureRing();
    const numbers = this.#numbers;
    const began = new Promise<void>((resolve) => {
      this.#onCapturing = resolve;
    });
    const meant = peers && numbersOf(peers, numbers);
    this.#post({ kind: 'capture', options: { ring, filter, peers: meant, snaplen } });
    await Promise.race([began, this.#exited]);
    return new TunnelCapture({
      ring,
      numbers,
      usePeers: (now) => this.#post({ kind: 'capture-peers', peers: now }),
      onClose: () => {
        if (this.#onCapturing === undefined) return;
        this.#onCapturing = undefined;
        this.#capturing = false;
        this.#post({ kind: 'capture-end' });
      },
    });
  }

  watchPaths(listener: (publicKey: PublicKey, mtu: number) => void): void {
    this.#onPath = listener;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#monitor.close();
    this.#post({ kind: 'close' });
    await this.#exited;
    this.#rejectAll(new TunnelError('ENODEV', 'the tunnel was closed'));
    this.#addon.close(this.#tun.fd);
    this.#end({ cause: 'closed' });
  }

  #post(command: Command): void {
    this.#worker.postMessage(command);
  }

  #onReport(report: Report): void {
    switch (report.kind) {
      case 'applied':
        for (const { publicKey, number } of report.peers) this.#numbers.set(publicKey, number);
        this.#take(report.id)?.resolve();
        break;
      case 'refused':
        this.#take(report.id)?.reject(new TunnelError(report.errno, report.message));
        break;
      case 'sockets':
        this.#port = report.port;
        if (report.port !== 0) this.#socketOffloads = report.offloads;
        break;
      case 'bind-failed':
        this.#log.error(`${report.message}: set another listen port, or end what uses it.`);
        break;
      case 'events':
        for (const event of report.events) this.#onEvent(event);
        break;
      case 'capturing':
        this.#onCapturing?.();
        break;
      case 'gone':
        this.#end({ cause: 'interface-removed' });
        break;
    }
  }

  #onEvent({ type, publicKey, detail }: DeviceEvent): void {
    if (type === 'path-mtu' && publicKey !== undefined) this.#onPath(publicKey, detail);
    const peer = publicKey === undefined ? undefined : Buffer.from(publicKey).toString('base64');
    if (type === 'under-load' || type === 'handshake-gave-up') {
      this.#log.warn({ peer, detail }, type);
    } else {
      this.#log.debug({ peer, detail }, type);
    }
  }

  #take(id: number): Reply | undefined {
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    return reply;
  }

  #fail(error: Error): void {
    this.#rejectAll(new TunnelError('EIO', error.message));
    if (this.#closing === undefined) this.#end({ cause: 'failed', error });
  }

  #rejectAll(error: TunnelError): void {
    for (const { reject } of this.#replies.values()) reject(error);
    this.#replies.clear();
  }
}

/** The worker's first report, or why there is none. */
function firstReport(worker: Worker): Promise<Extract<Report, { kind: 'ready' }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Extract<Report, { kind: 'ready' }>>();
  const onMessage = (report: Report): void => {
    if (report.kind === 'ready') resolve(report);
  };
  const onExit = (): void => reject(new Error('the data plane ended before it was ready'));
  worker.once('message', onMessage);
  worker.once('error', reject);
  worker.once('exit', onExit);
  return promise.finally(() => {
    worker.off('message', onMessage);
    worker.off('error', reject);
    worker.off('exit', onExit);
  });
}

export const openTunnel: OpenTunnel = async (options) => {
  const addon = loadAddon();
  const tun = openTun(addon, options.interfaceName, options.mtu);
  let worker: Worker | undefined;
  try {
    const figures = shareFigures(MAX_PEERS);
    worker = new Worker(WORKER, {
      workerData: { tun, crypto: options.crypto, maxPeers: MAX_PEERS, figures },
      name: 'data-plane',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const { crypto, refusal } = await firstReport(worker);
    if (refusal !== undefined) {
      options.log.warn(`OpenSSL's cryptography is not used: ${refusal}`);
    }
    return new TunnelProcess(addon, options, tun, worker, figures, crypto);
  } catch (error) {
    await worker?.terminate();
    addon.close(tun.fd);
    if (isCoded(error)) throw new CausewayError(error.code, error.message);
    throw new CausewayError(
      'START_FAILED',
      `The data plane of ${options.interfaceName} could not be started: ${(error as Error).message}`,
      { cause: error },
    );
  }
};

/** Errors of the worker arrive as plain copies: the class is lost, the code is not. */
function isCoded(error: unknown): error is CausewayError {
  return error instanceof Error && error.name === 'CausewayError' && 'code' in error;
}
