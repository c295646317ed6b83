/**
 * Keeps the stream of netmaps from the edge open: reconnects with jittered backoff, resumes at the
 * last netmap, takes a silent connection for dead, and hands on what validates. Nothing that goes
 * wrong here touches packets that flow.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type GoneEvent,
  goneEventSchema,
  STREAM_TIMEOUT,
  type TwinsEvent,
  twinsEventSchema,
} from '../../control/api.ts';
import type { Decoded } from '../../control/decoded.ts';
import type { Netmap, NetmapDelta } from '../../control/netmap.ts';
import { decodeDelta, decodeNetmap } from '../../control/netmap-text.ts';
import { TWINS_REMEMBERED } from '../../control/twins.ts';
import { CausewayError } from '../../errors.ts';
import type { Log } from '../log.ts';
import { Backoff } from './backoff.ts';
import { type EdgeClient, EdgeRefusal } from './edge-client.ts';
import { EventStreamDecoder, type ServerSentEvent } from './event-stream.ts';
import type { Identity } from './identity.ts';

/** Of one event; a whole netmap is one. */
const MAX_EVENT_LENGTH = 64 << 20;
const INSTANCE_SIZE = 12;
/** A stream that lived this long, in ms, was a good one: the next attempt comes soon. */
const SETTLED = 10_000;

/** `id` names the netmap after it. */
export type EdgeEvent =
  | { readonly kind: 'netmap'; readonly netmap: Netmap; readonly id: string }
  | { readonly kind: 'delta'; readonly delta: NetmapDelta; readonly id: string }
  | { readonly kind: 'gone'; readonly gone: GoneEvent };

/** With what the stream keeps to itself. */
type StreamEvent = EdgeEvent | { readonly kind: 'twins'; readonly twins: TwinsEvent };

/** What `status` says of the stream. Times are ms since the Unix epoch. */
export type StreamState =
  | { readonly state: 'connecting'; readonly since: number; readonly error?: CausewayError }
  | { readonly state: 'open'; readonly since: number; readonly url: string }
  | { readonly state: 'gone'; readonly since: number };

export interface EdgeStreamOptions {
  readonly client: EdgeClient;
  readonly identity: Pick<Identity, 'replica' | 'credential'>;
  /** Id of the netmap in force, as the edge gave it; undefined asks for a whole one. */
  readonly netmapId: () => string | undefined;
  /**
   * Takes events one after the other.
   *
   * @throws CausewayError NETMAP_INVALID when it cannot be applied: a whole netmap is asked for next
   */
  readonly onEvent: (event: EdgeEvent) => Promise<void>;
  readonly onState: (state: StreamState) => void;
  readonly log: Log;
}

export class EdgeStream {
  /** Netmaps and deltas that did not validate or could not be applied. */
  refused = 0;
  readonly #options: EdgeStreamOptions;
  /** Names this run: the edge tells by it a copy of our identity from us. */
  readonly #instance = randomBytes(INSTANCE_SIZE).toString('base64url');
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  readonly #backoff = new Backoff(Math.random);
  /** Ends the present wait between two attempts. */
  #hurry = new AbortController();
  /** The last event could not be applied: what we have is no base for a delta. */
  #whole = false;
  #since = Date.now();
  #response: IncomingMessage | undefined;
  /** What the edge said last of a machine with a copy of our identity, and when. */
  #twins: { readonly addresses: readonly string[]; readonly at: number } | undefined;

  constructor(options: EdgeStreamOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /**
   * The network changed: an attempt that waits for its turn is made now, and a connection from an
   * address that is ours no more, whose end nobody would tell us, is given up.
   */
  networkChanged(): void {
    this.#hurry.abort();
    const local = this.#response?.socket.localAddress;
    if (local === undefined) return;
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    if (own.some(({ address }) => address === local)) return;
    this.#response?.destroy(new Error('our address changed'));
  }

  /** The machine was asleep: what is left of a connection is not waited for. */
  wokeUp(): void {
    this.#hurry.abort();
    this.#response?.destroy(new Error('this machine was asleep'));
  }

  /**
   * Addresses of this machine and of another one with the same identity, as the edge sees them;
   * undefined = it has not said so lately. Two that take turns are told so at least each half minute.
   *
   * @param now ms since the Unix epoch
   */
  twins(now: number): readonly string[] | undefined {
    if (this.#twins === undefined || now - this.#twins.at > TWINS_REMEMBERED) return undefined;
    return this.#twins.addresses;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#hurry.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { log, onState } = this.#options;
    onState({ state: 'connecting', since: this.#since });
    while (!this.#abort.signal.aborted) {
      let opened = 0;
      let least = 0;
      try {
        opened = await this.#once();
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        const coded = asCausewayError(error);
        if (coded instanceof EdgeRefusal && coded.isGone) {
          const { replica } = this.#options.identity;
          await this.#end({ code: coded.code, replica, detail: coded.message });
          return;
        }
        if (coded.code === 'NETMAP_INVALID') {
          this.#whole = true;
          this.refused++;
        }
        if (coded instanceof EdgeRefusal) least = coded.retryAfter ?? 0;
        log.warn({ code: coded.code }, coded.message);
        onState({ state: 'connecting', since: this.#since, error: coded });
      }
      if (opened < 0) return;
      if (opened > 0 && performance.now() - opened > SETTLED) this.#backoff.reset();
      this.#hurry = new AbortController();
      if (this.#abort.signal.aborted) return;
      const wait = Math.max(least, this.#backoff.next());
      await delay(wait, undefined, { signal: this.#hurry.signal }).catch(() => {});
    }
  }

  /** One connection to its end. Returns when it was opened (monotonic), negative = gone for good. */
  async #once(): Promise<number> {
    const { client, identity, netmapId, onState, log } = this.#options;
    const { signal } = this.#abort;
    const last = this.#whole ? undefined : netmapId();
    const response = await client.openStream(
      { ...identity, instance: this.#instance },
      last,
      signal,
    );
    this.#response = response;
    const opened = performance.now();
    log.info({ url: client.url, netmap: last }, 'netmap stream open');
    onState({ state: 'open', since: Date.now(), url: client.url ?? '' });
    try {
      const alive = await this.#read(response);
      if (!alive) return -1;
    } finally {
      this.#response = undefined;
      response.destroy();
      this.#since = Date.now();
    }
    onState({ state: 'connecting', since: this.#since });
    return opened;
  }

  /** Hands on events until the stream ends; false = the connector is gone. */
  async #read(response: IncomingMessage): Promise<boolean> {
    const decoder = new EventStreamDecoder(MAX_EVENT_LENGTH);
    const timer = setTimeout(
      () => response.destroy(new Error(`silent for ${STREAM_TIMEOUT / 1_000} s`)),
      STREAM_TIMEOUT,
    );
    try {
      for await (const bytes of response as AsyncIterable<Buffer>) {
        timer.refresh();
        const events = decoder.decode(bytes);
        if (events === undefined) throw invalid('an event is too long');
        for (const event of events) {
          if (!(await this.#take(event))) return false;
        }
      }
    } catch (error) {
      if (error instanceof CausewayError) throw error;
      const text = `The netmap stream broke off (${(error as Error).message}).`;
      throw new CausewayError('EDGE_UNREACHABLE', text, { cause: error });
    } finally {
      clearTimeout(timer);
    }
    return true;
  }

  /** False = the connector is gone. */
  async #take(event: ServerSentEvent): Promise<boolean> {
    const decoded = decodeEvent(event);
    if (decoded === undefined) return true;
    if (decoded.kind === 'gone') {
      if (decoded.gone.replica !== this.#options.identity.replica) {
        throw invalid('it ends another replica');
      }
      await this.#end(decoded.gone);
      return false;
    }
    if (decoded.kind === 'twins') {
      this.#handleTwins(decoded.twins);
      return true;
    }
    await this.#options.onEvent(decoded);
    if (decoded.kind === 'netmap') this.#whole = false;
    return true;
  }

  #handleTwins({ replica, addresses }: TwinsEvent): void {
    if (replica !== this.#options.identity.replica) return;
    this.#twins = { addresses, at: Date.now() };
    const text = "another machine runs with a copy of this gateway's identity";
    this.#options.log.error({ addresses }, text);
  }

  async #end(gone: GoneEvent): Promise<void> {
    this.#options.onState({ state: 'gone', since: Date.now() });
    await this.#options.onEvent({ kind: 'gone', gone });
  }
}

/**
 * The event as one of ours; undefined for a name of a later version.
 *
 * @throws CausewayError NETMAP_INVALID
 */
export function decodeEvent({ name, data, id }: ServerSentEvent): StreamEvent | undefined {
  switch (name) {
    case 'netmap':
      return { kind: 'netmap', netmap: valid(decodeNetmap(data)), id };
    case 'delta':
      return { kind: 'delta', delta: valid(decodeDelta(data)), id };
    case 'gone':
      return { kind: 'gone', gone: decodeGone(data) };
    case 'twins':
      return decodeTwins(data);
    default:
      return undefined;
  }
}

function valid<T>(decoded: Decoded<T>): T {
  if (decoded.ok) return decoded.value;
  throw invalid(decoded.message);
}

/** What ends a replica for good must be meant for it, and whole. */
function decodeGone(data: string): GoneEvent {
  try {
    return goneEventSchema.parse(JSON.parse(data));
  } catch {
    throw invalid('it does not say who is gone');
  }
}

/** It is news and no order: what cannot be read is nothing. */
function decodeTwins(data: string): StreamEvent | undefined {
  try {
    return { kind: 'twins', twins: twinsEventSchema.parse(JSON.parse(data)) };
  } catch {
    return undefined;
  }
}

function invalid(what: string): CausewayError {
  const text = `The edge sent an event that does not validate (${what}): the netmap before stays in force.`;
  return new CausewayError('NETMAP_INVALID', text);
}

function asCausewayError(error: unknown): CausewayError {
  if (error instanceof CausewayError) return error;
  const text = `The netmap stream failed (${(error as Error).message}).`;
  return new CausewayError('EDGE_UNREACHABLE', text, { cause: error });
}
