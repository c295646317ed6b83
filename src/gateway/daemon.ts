/**
 * The life of one tunnel daemon: opens the data plane, then what talks to it, then says that it is
 * ready, and waits for one reason to end. Whatever was opened is closed again in the opposite order,
 * on every way out, a failure half-way included.
 */
import type { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { CausewayError } from '../errors.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { type ClosingPart, closeParts } from './closing.ts';
import { type DaemonKind, refuseOther } from './daemon-kind.ts';
import type { Explanation } from './explain/explanation.ts';
import { openLocalSocket } from './local-socket.ts';
import type { Log } from './log.ts';
import type { MeshStatus } from './mesh/mesh-status.ts';
import {
  removeRuntimeDirectory,
  runtimeDirectory,
  sweepRuntimeDirectories,
} from './runtime-directory.ts';
import type { ServiceManager } from './service-manager.ts';
import { statusOf } from './status.ts';
import type { OpenTunnel, Tunnel, TunnelEnd, TunnelOptions } from './tunnel.ts';
import { openUapi } from './uapi/server.ts';

/** What is added to a tunnel beyond the interface itself, and taken away again. */
export interface Attachment {
  /** What others want done first, hooks for example; may fail or be cut off, `close` follows anyway. */
  beforeClose?(): Promise<void>;
  /** Takes everything away. */
  close(): Promise<void>;
  /** Called when the interface is gone. */
  afterInterface?(): Promise<void>;
  /** Names of peers by public key, in base64, for people. */
  peerNames?(): ReadonlyMap<string, string>;
  /** Of a gateway under a control plane. */
  meshStatus?(): Promise<MeshStatus>;
  /** The same. @throws CausewayError for a question that makes no sense */
  explain?(question: unknown): Promise<Explanation>;
}

export interface DaemonOptions extends TunnelOptions {
  /** Which command ends it; a tunnel without it. */
  readonly kind?: DaemonKind;
  readonly openTunnel: OpenTunnel;
  readonly log: Log;
  /** Called once, when interface and sockets exist and `attach` is done. */
  readonly onReady: () => void;
  /** Who started us and wants to hear of it. */
  readonly service?: ServiceManager;
  /** One line for people, for the service manager's status. */
  readonly summary?: () => string;
  /** What SIGHUP does; without it that is an end. Does not reject. */
  readonly reload?: () => Promise<void>;
  /**
   * Configures the open tunnel (keys, addresses, routes …). On `signal` it may give up; if it
   * throws it has cleaned up after itself.
   */
  readonly attach?: (tunnel: Tunnel, signal: AbortSignal) => Promise<Attachment>;
  /** For tests. */
  readonly uapiDirectory?: string;
  readonly runtimeDirectory?: string;
}

/** SIGHUP ends what has nothing to reload, and what runs in a terminal: that was closed. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type EndingSignal = (typeof ENDING_SIGNALS)[number];

/** Longest wait for one part to close, so that a stuck one cannot keep the others. */
const CLOSE_TIMEOUT_MS = 10_000;

/** The same for parts that wait for commands of the operator. */
const HOOKS_TIMEOUT_MS = 20_000;

export type DaemonEnd =
  | TunnelEnd
  | { readonly cause: 'signal'; readonly signal: EndingSignal }
  | { readonly cause: 'socket-removed' }
  | { readonly cause: 'stop-requested' };

/** Without a time of its own, CLOSE_TIMEOUT_MS. */
type OpenPart = Omit<ClosingPart, 'timeoutMs'> & { readonly timeoutMs?: number };

/**
 * Runs until something ends the tunnel; by then everything is removed. Resolves with the reason.
 *
 * @throws CausewayError what kept it from starting; nothing is left behind then
 */
export async function runDaemon(options: DaemonOptions): Promise<DaemonEnd> {
  const { log } = options;
  checkInterfaceName(options.interfaceName);
  const { promise: ended, resolve: end } = Promise.withResolvers<DaemonEnd>();
  const ending = new AbortController();
  void ended.then(() => ending.abort());
  const reloads = options.reload !== undefined && !isatty(0);
  const stopSignals = onEnding(end, reloads ? () => void reload(options) : undefined);
  const opened: OpenPart[] = [];
  try {
    const tunnel = await options.openTunnel(options);
    opened.push({ what: 'tunnel', close: () => tunnel.close() });
    void tunnel.closed.then((closed) => end(isLoss(closed, options) ? loss(options) : closed));
    const uapi = await openUapi(tunnel, log, options.uapiDirectory);
    opened.push({ what: 'UAPI socket', close: () => uapi.close() });
    void uapi.removed.then(() => end({ cause: 'socket-removed' }));
    const since = new Date().toISOString();
    let attachment: Attachment | undefined;
    const handlers = {
      mesh: () => attachment?.meshStatus?.(),
      explain: (question: unknown) => attachment?.explain?.(question),
      status: () => statusOf(tunnel.snapshot(), process.pid, since),
      capture: async (request: unknown, socket: Socket) => {
        const { streamCapture } = await import('./capture/capture-session.ts');
        const names = () => attachment?.peerNames?.() ?? new Map<string, string>();
        await streamCapture(tunnel, names, request, socket);
      },
      stop: (meant: unknown) => {
        refuseOther(meant, options.kind ?? 'tunnel', tunnel.interfaceName);
        end({ cause: 'stop-requested' });
      },
    };
    const directory = options.runtimeDirectory ?? runtimeDirectory();
    const local = await openLocalSocket(tunnel.interfaceName, handlers, directory);
    // Closed last: who asked for the end sees the connection close when everything is gone.
    opened.unshift({
      what: 'local socket',
      close: () => local.close().finally(() => removeRuntimeDirectory(directory)),
    });
    if (options.attach !== undefined && !ending.signal.aborted) {
      const attached = await options.attach(tunnel, ending.signal).catch((error: unknown) => {
        // What it stumbled over by then is no reason of its own.
        if (!ending.signal.aborted) throw error;
        log.debug({ err: error }, 'ended while it was set up');
        return undefined;
      });
      attachment = attached;
      opened.push(...(attached === undefined ? [] : partsOf(attached)));
      opened.splice(1, 0, {
        what: 'attachment, after the interface',
        close: async () => attached?.afterInterface?.(),
        timeoutMs: HOOKS_TIMEOUT_MS,
      });
    }
    if (!ending.signal.aborted) {
      const { crypto, offloads } = tunnel.snapshot();
      log.info({ crypto, offloads, pid: process.pid }, 'ready');
      options.onReady();
      options.service?.ready();
      // An empty change is applied by the worker, behind all that it has to do.
      options.service?.watch({
        answers: () => tunnel.apply({ peers: [] }),
        status: () => options.summary?.() ?? tunnel.interfaceName,
      });
      if (options.runtimeDirectory === undefined) {
        // Housekeeping for others; nothing depends on it.
        sweepRuntimeDirectories().catch((error: unknown) => log.debug({ err: error }, 'sweep'));
      }
    }
    const reason = await ended;
    options.service?.stopping();
    if (reason.cause === 'failed') log.error({ err: reason.error }, 'ending');
    else log.info(reason, 'ending');
    return reason;
  } finally {
    const parts = opened.reverse().map((part) => ({ timeoutMs: CLOSE_TIMEOUT_MS, ...part }));
    await closeParts(parts, log);
    stopSignals();
  }
}

function partsOf(attached: Attachment): OpenPart[] {
  return [
    { what: 'attachment', close: () => attached.close() },
    {
      what: 'attachment, before all',
      close: async () => attached.beforeClose?.(),
      timeoutMs: HOOKS_TIMEOUT_MS,
    },
  ];
}

/** A drop-in for wireguard-go is ended that way; what adds routes and rules is not. */
function isLoss({ cause }: TunnelEnd, { attach }: DaemonOptions): boolean {
  return cause === 'interface-removed' && attach !== undefined;
}

function loss({ interfaceName }: DaemonOptions): DaemonEnd {
  const text = `The interface ${interfaceName} was deleted by another program: what belonged to it is removed.`;
  return { cause: 'failed', error: new CausewayError('INTERFACE_REMOVED', text) };
}

async function reload({ reload, service }: DaemonOptions): Promise<void> {
  service?.reloading();
  await reload?.();
  service?.ready();
}

/**
 * Signals that end the daemon; any further ones are taken and change nothing. An error that nobody
 * caught ends it too, but by the same orderly way.
 */
function onEnding(end: (reason: DaemonEnd) => void, onHangup?: () => void): () => void {
  const onSignal = (signal: EndingSignal): void => {
    if (signal === 'SIGHUP' && onHangup !== undefined) onHangup();
    else end({ cause: 'signal', signal });
  };
  const onError = (error: Error): void => end({ cause: 'failed', error });
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  process.on('uncaughtException', onError);
  return () => {
    for (const signal of ENDING_SIGNALS) process.removeListener(signal, onSignal);
    process.removeListener('uncaughtException', onError);
  };
}
