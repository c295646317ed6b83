/** The other side of the local socket: what the commands ask a running daemon. */
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { CausewayError, ERROR_CODES } from '../errors.ts';
import type { DaemonKind } from './daemon-kind.ts';
import { type Explanation, explanationSchema, type Question } from './explain/explanation.ts';
import { type RequestName, SUFFIX } from './local-socket.ts';
import { type MeshStatus, meshStatusSchema } from './mesh/mesh-status.ts';
import { RUNTIME_ROOT, runtimeDirectories, runtimeDirectory } from './runtime-directory.ts';
import type { TunnelStatus } from './status.ts';

/** A status of many peers is long; nothing legitimate is longer. */
const MAX_RESPONSE_LENGTH = 256 * 1024 * 1024;

const Peer = z.object({
  publicKey: z.string(),
  presharedKey: z.boolean(),
  endpoint: z.string().optional(),
  lastHandshake: z.string().optional(),
  rxBytes: z.number(),
  txBytes: z.number(),
  persistentKeepalive: z.number(),
  allowedIps: z.array(z.string()),
  allowedIpCount: z.number(),
});
const Status: z.ZodType<TunnelStatus> = z.object({
  interface: z.string(),
  pid: z.number(),
  since: z.string(),
  publicKey: z.string().optional(),
  listenPort: z.number(),
  fwmark: z.number(),
  crypto: z.enum(['noble', 'openssl']),
  offloads: z.array(z.string()),
  peers: z.array(Peer),
  drops: z.array(z.object({ reason: z.string(), meaning: z.string(), packets: z.number() })),
});
const StatusResponse = z.object({ status: Status });
const RefusedResponse = z.object({ error: z.string(), code: z.enum(ERROR_CODES) });

/** A refusal's beginning: nothing follows it. */
const REFUSED = /^\{"error":/;

/** One line to the daemon. */
interface Request {
  readonly request: RequestName;
  readonly arguments?: unknown;
}

/**
 * The status of a running daemon; undefined if none runs for that interface. Looked for in our own
 * network namespace first, then in the others.
 *
 * @throws CausewayError PERMISSION, or START_FAILED when what answers is no daemon of ours
 */
export async function requestStatus(
  interfaceName: string,
  directories: readonly string[] = knownDirectories(),
): Promise<TunnelStatus | undefined> {
  const text = await askFirst(interfaceName, { request: 'status' }, directories);
  if (text === undefined) return undefined;
  const response = StatusResponse.safeParse(parseJson(text));
  if (response.success) return response.data.status;
  throw strangeAnswer(interfaceName, 'gave no status');
}

/**
 * The mesh's status of a running daemon; undefined if none runs for that interface, or if the one that
 * does is in no mesh.
 *
 * @throws CausewayError as `requestStatus`
 */
export async function requestMesh(
  interfaceName: string,
  directories: readonly string[] = knownDirectories(),
): Promise<MeshStatus | undefined> {
  const text = await askFirst(interfaceName, { request: 'mesh' }, directories);
  if (text === undefined) return undefined;
  const value = parseJson(text);
  if (z.object({ error: z.string() }).safeParse(value).success) return undefined;
  const response = z.object({ mesh: meshStatusSchema }).safeParse(value);
  if (response.success) return response.data.mesh;
  throw strangeAnswer(interfaceName, 'gave no status');
}

/**
 * A gateway's explanation of a flow; undefined if none runs on that interface.
 *
 * @throws CausewayError as `requestStatus`, and what the gateway has to say to the question
 */
export async function requestExplanation(
  interfaceName: string,
  question: Question,
  directories: readonly string[] = knownDirectories(),
): Promise<Explanation | undefined> {
  const text = await askFirst(
    interfaceName,
    { request: 'explain', arguments: question },
    directories,
  );
  if (text === undefined) return undefined;
  const value = parseJson(text);
  const refused = RefusedResponse.safeParse(value);
  if (refused.success) throw new CausewayError(refused.data.code, refused.data.error);
  const response = z.object({ explanation: explanationSchema }).safeParse(value);
  if (response.success) return response.data.explanation;
  throw strangeAnswer(interfaceName, 'explained nothing');
}

function strangeAnswer(interfaceName: string, did: string): CausewayError {
  const text = `The daemon of ${interfaceName} ${did}: it may be of another version, restart it.`;
  return new CausewayError('START_FAILED', text);
}

/**
 * Ends a daemon and waits until it has removed everything; false if none runs. In our own network
 * namespace only: another's tunnel of the same name is not ours to end.
 *
 * @throws CausewayError PERMISSION; INTERFACE_MISSING when a daemon of the other kind runs there
 */
export async function requestStop(
  interfaceName: string,
  kind: DaemonKind,
  directories: readonly string[] = [runtimeDirectory()],
): Promise<boolean> {
  const text = await askFirst(interfaceName, { request: 'stop', arguments: kind }, directories);
  const refused = RefusedResponse.safeParse(parseJson(text ?? ''));
  if (refused.success) throw new CausewayError(refused.data.code, refused.data.error);
  return text !== undefined;
}

/** The tunnels that are up in every network namespace, in order of their names. */
export async function requestAllStatus(): Promise<TunnelStatus[]> {
  return askAll(requestStatus);
}

/** The meshes that this host is in, in order of their interfaces' names. */
export async function requestAllMeshes(): Promise<MeshStatus[]> {
  return askAll(requestMesh);
}

/** Those in our own network namespace. */
export async function requestMeshesHere(): Promise<MeshStatus[]> {
  return askAll(requestMesh, [runtimeDirectory()]);
}

async function askAll<T extends { readonly interface: string }>(
  ask: (name: string, directories: readonly string[]) => Promise<T | undefined>,
  among: readonly string[] = knownDirectories(),
): Promise<T[]> {
  const asked = among.flatMap((directory) =>
    socketsIn(directory).map((name) => ask(name, [directory])),
  );
  const found = (await Promise.all(asked)).filter((status) => status !== undefined);
  return found.sort((a, b) => a.interface.localeCompare(b.interface));
}

/** Sockets with that interface's name, or of every interface, alive or not; those of our namespace first. */
export function socketPaths(
  interfaceName?: string,
): { readonly name: string; readonly path: string }[] {
  return knownDirectories().flatMap((directory) =>
    socketsIn(directory)
      .filter((name) => interfaceName === undefined || name === interfaceName)
      .map((name) => ({ name, path: join(directory, name + SUFFIX) })),
  );
}

function knownDirectories(): string[] {
  try {
    return runtimeDirectories();
  } catch (error) {
    throw noPermission(RUNTIME_ROOT, error);
  }
}

/**
 * Names of the interfaces that have a socket there, alive or not. To say that there are none where one
 * may not look would be to say that no gateway runs.
 */
function socketsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'))
      .map((name) => name.slice(0, -SUFFIX.length));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') return [];
    throw noPermission(directory, error);
  }
}

function noPermission(directory: string, cause: unknown): CausewayError {
  const message = `No permission to look into ${directory}: run this as root.`;
  return new CausewayError('PERMISSION', message, { cause });
}

async function askFirst(
  interfaceName: string,
  request: Request,
  directories: readonly string[],
): Promise<string | undefined> {
  for (const directory of directories) {
    const text = await ask(interfaceName, request, directory);
    if (text !== undefined) return text;
  }
  return undefined;
}

/**
 * Sends one request. Reads one line of a status; of a stop until the daemon closes, which it does
 * when everything is removed. Undefined if nobody listens.
 */
function ask(
  interfaceName: string,
  request: Request,
  directory: string,
): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const socket = connect(join(directory, interfaceName + SUFFIX));
  let text = '';
  socket.setEncoding('utf8');
  socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
  socket.on('data', (part: string) => {
    text += part;
    if (text.length > MAX_RESPONSE_LENGTH) socket.destroy(new Error('answer too long'));
    const ends = request.request === 'stop' && !REFUSED.test(text);
    if (!ends && part.includes('\n')) socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
    else if (error.code === 'EACCES' || error.code === 'EPERM') {
      const message = `No permission to talk to the daemon of ${interfaceName}: run as root.`;
      reject(new CausewayError('PERMISSION', message, { cause: error }));
    } else resolve(text);
  });
  socket.on('close', () => resolve(text));
  return promise;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
