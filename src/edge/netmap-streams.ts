/**
 * The open netmap streams: one server-sent event stream for each replica that is connected.
 *
 * A change is encoded once and written to all whom it concerns. Changes that come close together leave
 * together, in runs that are never closer than four times as long as the last one took, so that
 * distributing takes at most a fifth of the thread. A reader that does not keep up is not sent more:
 * when it has read what is queued it gets one delta over all that it missed, or a whole netmap, and
 * when it reads nothing for STALLED it is cut off. No reader waits for another: each has a queue of
 * its own, of which one piece is under way.
 */
import type { ServerResponse } from 'node:http';
import { type GoneEvent, HEARTBEAT_INTERVAL, type TwinsEvent } from '../control/api.ts';
import type { ReplicaId } from '../control/model.ts';
import type { NetmapIndex, NetmapUpdate } from '../control/netmap-index.ts';
import { REPLICA_GONE } from './api/authentication.ts';
import { EventQueue, giveBack } from './event-queue.ts';

/** Bytes queued for a reader from which on it is behind. */
const MAX_QUEUED = 256 * 1_024;
const MIN_RUN_INTERVAL = 10;
/** A run's length times this is the shortest time from its end to the next run. */
const RUN_SHARE = 4;
const TICK = 1_000;
/** Ms in which a reader that is dismissed may read the rest. */
const LINGER = 2_000;
/** Ms in which a reader with a queue reads nothing of it. */
const STALLED = 20_000;

/** The part of a response that a stream uses. */
export interface StreamSink extends Pick<ServerResponse, 'end' | 'destroy' | 'once' | 'on'> {
  /** Calls back when the data has left this process. */
  write(data: Buffer, callback: (error?: Error | null) => void): boolean;
}

interface Stream {
  readonly replica: ReplicaId;
  readonly sink: StreamSink;
  /** Of the last event written. */
  revision: number | undefined;
  /** Events of the current run; each later than `revision`. */
  pending: Buffer[];
  /** Gets no events until it has read what is queued, and then what it missed. */
  behind: boolean;
  /** Monotonic, ms. */
  lastWrite: number;
  /** What is to be written yet, but for the piece that is under way. */
  readonly queue: EventQueue;
  writing: boolean;
  /** Since when nothing was taken, if something is queued. */
  stuckSince: number;
}

export class NetmapStreams {
  readonly #index: NetmapIndex;
  readonly #now: () => number;
  readonly #streams = new Map<ReplicaId, Stream>();
  readonly #pending = new Set<Stream>();
  /** Revision of the last change. */
  #published = 0;
  #run: NodeJS.Timeout | undefined;
  #runInterval = MIN_RUN_INTERVAL;
  readonly #tick: NodeJS.Timeout;

  /** @param now monotonic milliseconds */
  constructor(index: NetmapIndex, now: () => number = () => performance.now()) {
    this.#index = index;
    this.#now = now;
    this.#tick = setInterval(() => this.#heartbeat(), TICK).unref();
  }

  get size(): number {
    return this.#streams.size;
  }

  has(replica: ReplicaId): boolean {
    return this.#streams.has(replica);
  }

  /**
   * Takes over a response whose head is written. A stream that the replica had before ends.
   *
   * @param since revision that it has; undefined = none
   */
  open(replica: ReplicaId, since: number | undefined, sink: StreamSink): void {
    const before = this.#streams.get(replica);
    if (before !== undefined) this.#end(before);
    const now = this.#now();
    const stream: Stream = {
      replica,
      sink,
      revision: since,
      pending: [],
      behind: true,
      lastWrite: now,
      queue: new EventQueue(),
      writing: false,
      stuckSince: now,
    };
    this.#streams.set(replica, stream);
    sink.once('close', () => this.#forget(stream));
    sink.on('error', () => sink.destroy());
    this.#catchUp(stream);
  }

  /** Sends a change to whom it concerns, soon. */
  publish({ revision, broadcasts, gone, revoked }: NetmapUpdate): void {
    for (const replica of revoked) {
      const stream = this.#streams.get(replica);
      if (stream !== undefined) this.#end(stream);
    }
    for (const { data, recipients } of broadcasts) {
      let event: Buffer | undefined;
      for (const replica of recipients) {
        const stream = this.#streams.get(replica);
        if (stream === undefined || stream.behind) continue;
        event ??= formatEvent('delta', this.#index.idOf(revision), data);
        stream.pending.push(event);
        this.#pending.add(stream);
      }
    }
    this.#published = revision;
    for (const replica of gone) {
      const stream = this.#streams.get(replica);
      if (stream === undefined) continue;
      const event: GoneEvent = { code: 'CONNECTOR_GONE', replica, detail: REPLICA_GONE };
      this.#end(stream, formatEvent('gone', this.#index.idOf(revision), JSON.stringify(event)));
    }
    if (this.#pending.size > 0) {
      this.#run ??= setTimeout(() => this.#flush(), this.#runInterval);
    }
  }

  /** Says to the one of two machines that has the stream now that there is another. */
  tellTwins(replica: ReplicaId, addresses: readonly string[]): void {
    const stream = this.#streams.get(replica);
    if (stream === undefined) return;
    const event: TwinsEvent = { replica, addresses: [...addresses] };
    const id = this.#index.idOf(this.#published);
    this.#write(stream, formatEvent('twins', id, JSON.stringify(event)));
  }

  /** Ends all streams; the readers come back to the edge's successor. */
  close(): void {
    clearInterval(this.#tick);
    clearTimeout(this.#run);
    for (const stream of [...this.#streams.values()]) {
      this.#streams.delete(stream.replica);
      stream.sink.destroy();
    }
  }

  #flush(): void {
    this.#run = undefined;
    const start = performance.now();
    for (const stream of this.#pending) {
      const { pending } = stream;
      stream.pending = [];
      stream.revision = this.#published;
      this.#write(stream, pending.length === 1 ? pending[0]! : Buffer.concat(pending));
    }
    this.#pending.clear();
    const duration = performance.now() - start;
    this.#runInterval = Math.max(MIN_RUN_INTERVAL, duration * RUN_SHARE);
  }

  #write(stream: Stream, event: Buffer | Iterable<string>): void {
    const now = this.#now();
    stream.lastWrite = now;
    if (!stream.writing) stream.stuckSince = now;
    stream.queue.push(event);
    if (stream.queue.size > MAX_QUEUED) this.#leaveRun(stream);
    this.#pump(stream);
  }

  /** Writes piece by piece: the next one when the one before has left. */
  #pump(stream: Stream): void {
    if (stream.writing) return;
    const piece = stream.queue.take();
    if (piece === undefined) return;
    stream.writing = true;
    stream.sink.write(piece.data, (error) => {
      // Of a connection that broke off nobody knows who still has it.
      if (!error) giveBack(piece);
      stream.writing = false;
      stream.stuckSince = this.#now();
      if (this.#streams.get(stream.replica) !== stream) return;
      if (!stream.queue.isEmpty) this.#pump(stream);
      else if (stream.behind) this.#catchUp(stream);
    });
  }

  /** No more events until it has caught up: then it gets what it missed in one. */
  #leaveRun(stream: Stream): void {
    stream.behind = true;
    stream.pending = [];
    this.#pending.delete(stream);
  }

  /** Brings a reader up to date. */
  #catchUp(stream: Stream): void {
    stream.behind = false;
    // Undefined: it has missed nothing.
    const start = this.#index.start(stream.replica, stream.revision);
    if (start === undefined) return;
    const { event, revision, data } = start;
    stream.revision = revision;
    this.#write(stream, eventTexts(event, this.#index.idOf(revision), data));
    // What does not fit into one piece takes a while.
    if (!stream.queue.isEmpty) this.#leaveRun(stream);
  }

  #heartbeat(): void {
    const now = this.#now();
    for (const stream of this.#streams.values()) {
      if (stream.writing) {
        if (now - stream.stuckSince > STALLED) stream.sink.destroy();
      } else if (now - stream.lastWrite > HEARTBEAT_INTERVAL - TICK) {
        this.#write(stream, HEARTBEAT);
      }
    }
  }

  #end(stream: Stream, last?: Buffer): void {
    const { sink, queue } = stream;
    this.#forget(stream);
    // After a part of an event nothing can be said; who comes back is told then.
    if (queue.isEmpty) sink.end(last);
    else sink.end();
    setTimeout(() => sink.destroy(), LINGER).unref();
  }

  #forget(stream: Stream): void {
    this.#leaveRun(stream);
    if (this.#streams.get(stream.replica) === stream) this.#streams.delete(stream.replica);
  }
}

const HEARTBEAT = Buffer.from(':\n\n');

/** @param data JSON on one line, in parts */
function* eventTexts(event: string, id: string, data: Iterable<string>): Iterable<string> {
  yield `id: ${id}\nevent: ${event}\ndata: `;
  yield* data;
  yield '\n\n';
}

/** @param data JSON on one line */
function formatEvent(event: string, id: string, data: string): Buffer {
  return Buffer.from([...eventTexts(event, id, [data])].join(''));
}
