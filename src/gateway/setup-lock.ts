/**
 * One change at a time to what the tunnels of a network namespace share: numbers of routing tables,
 * the rule for the main table, kernel settings, each other's notes. The lock is a listening socket in
 * the runtime directory, so that it goes with its owner, however that ends.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CausewayError } from '../errors.ts';
import { runtimeDirectory } from './runtime-directory.ts';
import { openUnixSocket, type UnixSocket } from './unix-socket.ts';

/** A name that no interface has, and that a sweep of dead sockets takes away. */
const NAME = '.setup.sock';
const WAIT_MS = 15_000;
/** Less than a part of the daemon may take to close: a removal goes on without the lock. */
const WAIT_FOR_REMOVAL_MS = 4_000;
const POLL_MS = 20;

/** Steps of this process, which are serialized here: the socket is between processes. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a step that no other of this network namespace runs at the same time. Not to be nested.
 *
 * @throws CausewayError START_FAILED when another holds the lock for too long; PERMISSION
 */
export function withSetupLock<T>(step: () => Promise<T>): Promise<T> {
  return serially(async () => {
    const lock = await acquire(WAIT_MS);
    return step().finally(() => lock.close());
  });
}

/** The same for a removal, which a stuck neighbour must not keep from running. */
export function withSetupLockIfFree<T>(step: () => Promise<T>): Promise<T> {
  return serially(async () => {
    const lock = await acquire(WAIT_FOR_REMOVAL_MS).catch(() => undefined);
    return step().finally(() => lock?.close());
  });
}

function serially<T>(step: () => Promise<T>): Promise<T> {
  const done = last.then(step);
  last = done.catch(() => {});
  return done;
}

async function acquire(waitMs: number): Promise<UnixSocket> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return await openUnixSocket({
        directory: runtimeDirectory(),
        directoryMode: 0o700,
        name: NAME,
        maxConnections: 16,
        onConnection: (socket) => void socket.on('error', () => {}).destroy(),
      });
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (performance.now() > deadline) {
        const message =
          'Another tunnel of this host is being set up or removed and does not get done: end it, or try again.';
        throw new CausewayError('START_FAILED', message, { cause: error });
      }
    }
    await delay(POLL_MS);
  }
}

/** Held by another, or its directory was just removed with the last tunnel. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof CausewayError)) return false;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return error.code === 'SOCKET_IN_USE' || code === 'ENOENT';
}
