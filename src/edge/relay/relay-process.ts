/** Opens the relay of an edge: its worker thread, with what an earlier one kept. */
import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CausewayError } from '../../errors.ts';
import { SOCKET_BUFFER } from '../../udp/udp-sockets.ts';
import { BindingsFile } from './bindings-file.ts';
import type { RelayOptions, RelayProcess } from './relay.ts';
import { type RelayReport, type RelayWorkerOptions, shareRelayFigures } from './relay-messages.ts';
import { WorkerRelay } from './worker-relay.ts';

export type * from './relay.ts';

/** The worker's file has this file's ending: `.ts` in a checkout, `.js` when built. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './relay-worker.ts' : './relay-worker.js',
  import.meta.url,
);

/** The hot path allocates nothing: the garbage of handshakes and commands needs little room. */
const YOUNG_GENERATION_MB = 3;

const { EADDRINUSE, EACCES, EPERM } = constants.errno;

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
export function openRelay(options: RelayOptions): Promise<RelayProcess> {
  return prepareRelay()(options);
}

/**
 * Starts the relay's thread, which loads its code while the caller finds out what it is to be opened
 * with. Holds nothing, and does not keep the process alive, until what it returns is called, once:
 * `openRelay`.
 */
export function prepareRelay(): typeof openRelay {
  const worker = new Worker(WORKER, {
    name: 'relay',
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  const reported = firstReport(worker);
  // Who opens it gets the error.
  reported.catch(() => {});
  // After the listeners: each would undo it.
  worker.unref();
  return (options) => openOn(worker, reported, options);
}

async function openOn(
  worker: Worker,
  reported: Promise<RelayReport>,
  { port, privateKey, replicas, mark = 0, bindingsFile, log }: RelayOptions,
): Promise<RelayProcess> {
  worker.ref();
  let first: RelayReport;
  const figures = shareRelayFigures();
  const file = bindingsFile === undefined ? undefined : new BindingsFile(bindingsFile, log);
  try {
    const bindings = await file?.read(Date.now());
    const options: RelayWorkerOptions = { port, mark, privateKey, replicas, bindings, figures };
    worker.postMessage(options);
    first = await reported;
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
    if (warning !== undefined) log.warn(warning);
    if (first.refusal !== undefined) {
      log.warn(`The relay does not use OpenSSL's cryptography: ${first.refusal}`);
    }
    return new WorkerRelay({ worker, file, log }, figures, first);
  }
  await worker.terminate();
  throw openError(port, first.kind === 'failed' ? first.errno : 0);
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
