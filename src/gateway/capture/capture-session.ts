/**
 * A capture for one client of the local socket: begun as it asks, its records sent on as fast as the
 * client reads them, ended when the client half-closes or goes away. Nothing is kept for a slow client:
 * what it does not read stays in the ring, and what the ring has no room for is lost and counted.
 */
import type { Socket } from 'node:net';
import { CausewayError } from '../../errors.ts';
import { keyFromBase64, keyFromHex, keyToBase64, keyToHex } from '../../keys.ts';
import { explainMistake, parseFilter } from '../../routing/packet-filter-syntax.ts';
import type { Tunnel } from '../tunnel.ts';
import { encodeFrame, encodeNews, FRAME_RECORDS } from './capture-stream.ts';
import { packetsIn } from './captured-packet.ts';
import type { TunnelCapture } from './tunnel-capture.ts';

/** Milliseconds between two looks into the ring. */
const LOOK_EVERY = 10;
/** Milliseconds between two looks at who the peers are. */
const NAMES_EVERY = 1_000;
const CHUNK = 256 << 10;

export const SNAPLEN_RANGE = { least: 20, most: 65_535 } as const;
export const DEFAULT_SNAPLEN = SNAPLEN_RANGE.most;

export interface CaptureRequest {
  readonly filter?: string | undefined;
  /** A connector's name, or a peer's public key. */
  readonly peer?: string | undefined;
  readonly snaplen?: number | undefined;
}

/** Names of peers by public key, in base64. */
export type PeerNames = ReadonlyMap<string, string>;

/**
 * Resolves when it has ended and all was handed to the socket.
 *
 * @throws CausewayError VALUE_INVALID, NOT_FOUND or LIMIT_REACHED, with nothing written yet
 */
export async function streamCapture(
  tunnel: Tunnel,
  names: () => PeerNames,
  given: unknown,
  socket: Socket,
): Promise<void> {
  const { filter, peer, snaplen = DEFAULT_SNAPLEN } = checkRequest(given);
  const keysMeant = (): readonly string[] => keysOf(peer!, tunnel, names());
  const peers = peer === undefined ? undefined : keysMeant();
  if (peers?.length === 0) throw unknownPeer(peer!, names());
  const capture = await tunnel.capture({ filter, peers, snaplen });
  try {
    socket.write(`${JSON.stringify({ capturing: { interface: tunnel.interfaceName } })}\n`);
    await new Stream(capture, socket, names, peer === undefined ? undefined : keysMeant).run();
  } finally {
    capture.close();
  }
}

class Stream {
  readonly #capture: TunnelCapture;
  readonly #socket: Socket;
  readonly #names: () => PeerNames;
  readonly #meant: (() => readonly string[]) | undefined;
  /** What the client knows peers by. */
  readonly #told = new Map<number, string>();
  #current = new Map<number, string>();
  #namesAt = 0;

  constructor(
    capture: TunnelCapture,
    socket: Socket,
    names: () => PeerNames,
    meant: (() => readonly string[]) | undefined,
  ) {
    this.#capture = capture;
    this.#socket = socket;
    this.#names = names;
    this.#meant = meant;
  }

  run(): Promise<void> {
    const socket = this.#socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setInterval(() => this.#drain(), LOOK_EVERY);
    const end = (): void => {
      clearInterval(timer);
      resolve();
    };
    socket.once('close', end);
    const finish = (): void => {
      this.#capture.close();
      void this.#finish().then(end);
    };
    if (socket.readableEnded) finish();
    else socket.once('end', finish);
    if (socket.destroyed) end();
    return promise;
  }

  /** Until the ring is empty, or the client does not keep up. */
  #drain(): void {
    this.#lookAtNames();
    while (!this.#socket.writableNeedDrain) {
      if (!this.#sendChunk()) return;
    }
  }

  /** What is left in the ring, however long the client takes; then the figures. */
  async #finish(): Promise<void> {
    const socket = this.#socket;
    while (!socket.destroyed) {
      if (socket.writableNeedDrain) await drained(socket);
      else if (!this.#sendChunk()) break;
    }
    const { captured, lost } = this.#capture;
    if (!socket.destroyed) socket.write(encodeNews({ captured, lost }));
  }

  #sendChunk(): boolean {
    const records = this.#capture.read(CHUNK);
    if (records === undefined) return false;
    for (const { peer } of packetsIn(records)) this.#introduce(peer);
    this.#socket.write(encodeFrame(FRAME_RECORDS, records));
    return true;
  }

  #introduce(peer: number): void {
    if (peer < 0) return;
    const name = this.#current.get(peer) ?? this.#told.get(peer) ?? `peer ${peer}`;
    if (this.#told.get(peer) === name) return;
    this.#told.set(peer, name);
    this.#socket.write(encodeNews({ peer, name }));
  }

  #lookAtNames(): void {
    const now = performance.now();
    if (now < this.#namesAt) return;
    this.#namesAt = now + NAMES_EVERY;
    const names = this.#names();
    this.#current = new Map();
    for (const [number, key] of this.#capture.keys()) {
      const text = keyToBase64(keyFromHex(key)!);
      this.#current.set(number, names.get(text) ?? text);
    }
    if (this.#meant !== undefined) this.#capture.usePeers(this.#meant());
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', () => resolve());
  });
}

/** Hexadecimal keys of all replicas of a connector, or of the peer with that key. */
function keysOf(peer: string, tunnel: Tunnel, names: PeerNames): readonly string[] {
  const named = [...names].filter(([, name]) => name === peer).map(([key]) => key);
  const key = keyFromBase64(peer);
  if (named.length === 0 && key !== undefined) {
    const isPeer = tunnel
      .snapshot()
      .peers.some(({ publicKey }) => keyToHex(publicKey) === keyToHex(key));
    return isPeer ? [keyToHex(key)] : [];
  }
  return named.map((text) => keyToHex(keyFromBase64(text)!));
}

function unknownPeer(peer: string, names: PeerNames): CausewayError {
  const known = [...new Set(names.values())].slice(0, 10).join(', ');
  return new CausewayError(
    'NOT_FOUND',
    `There is no peer ${peer.slice(0, 100)}: give a connector's name${known === '' ? ' or a public key' : ` (${known})`}.`,
  );
}

function checkRequest(given: unknown): CaptureRequest {
  const { filter, peer, snaplen } = (given ?? {}) as Record<string, unknown>;
  const isText = (value: unknown): value is string | undefined =>
    value === undefined || typeof value === 'string';
  if (!isText(filter) || !isText(peer)) {
    throw new CausewayError(
      'VALUE_INVALID',
      'The filter and the peer of a capture are to be texts.',
    );
  }
  const { least, most } = SNAPLEN_RANGE;
  const fits = Number.isInteger(snaplen) && Number(snaplen) >= least && Number(snaplen) <= most;
  if (snaplen !== undefined && !fits) {
    throw new CausewayError('VALUE_INVALID', `The snaplen is to be ${least} to ${most} bytes.`);
  }
  if (filter !== undefined) checkFilter(filter);
  return { filter, peer, snaplen: snaplen as number | undefined };
}

/** @throws CausewayError VALUE_INVALID that says where the mistake is */
export function checkFilter(text: string): void {
  const parsed = parseFilter(text);
  if (!parsed.ok) throw new CausewayError('VALUE_INVALID', explainMistake(text, parsed.mistake));
}
