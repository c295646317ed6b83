/**
 * The open netmap streams: one server-sent event stream for each replica that is connected.
 *
 * A change is encoded once and written to all whom it concerns. Changes that come close together leave
 * together, in runs that are never closer than four times as long as the last one took, so that
 * distributing takes at most a fifth of the thread. A reader that does not keep up is not sent more:
 * when it has read what is queued it gets one delta over all that it missed, or a whole netmap, and
 * when it reads nothing for STALLED it is cut off. Whole netmaps are large, so few are under way at a
 * time; the other readers wait for their turn.
 */
import type { ServerResponse } from 'node:http';
import { type GoneEvent, HEARTBEAT_INTERVAL } from '../control/api.ts';
import type { ReplicaId } from '../control/model.ts';
import type { NetmapIndex, NetmapUpdate } from '../control/netmap-index.ts';

/** Bytes queued for a reader from which on it is behind. */
const MAX_QUEUED = 256 * 1_024;
/** Whole netmaps or long deltas under way at a time. */
const MAX_LARGE = 8;
/** Bytes from which on an event is large. */
const LARGE = 64 * 1_024;
/**
 * Bytes written at a time, a TLS record: Node keeps for each TLS connection a buffer as large as the
 * largest single write was, for as long as the connection lives.
 */
const PIECE = 16 * 1_024;
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
  write(data: Buffer, callback: () => void): boolean;
}

interface Stream {
  readonly replica: ReplicaId;
  readonly sink: StreamSink;
  /** Of the last event written. */
  revision: number | undefined;
  /** Events of the current run; each later than `revision`. */
  pending: Buffer[];
  /** `waiting` for its turn to catch up; `large`: an event that counts is under way. */
  state: 'current' | 'behind' | 'waiting' | 'large';
  /** Monotonic, ms. */
  lastWrite: number;
  /** What is to be written yet, and how much that is; a piece of the first is under way. */
  readonly queue: Buffer[];
  queued: number;
  writing: boolean;
  /** Since when nothing was taken, if something is queued. */
  stuckSince: number;
}

const GONE: GoneEvent = {
  code: 'NOT_FOUND',
  detail: 'This replica, or its connector, was deleted at the edge: join again with a new token.',
};

export class NetmapStreams {
  readonly #index: NetmapIndex;
  readonly #now: () => number;
  readonly #streams = new Map<ReplicaId, Stream>();
  readonly #waiting: Stream[] = [];
  readonly #pending = new Set<Stream>();
  #large = 0;
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
      state: 'behind',
      lastWrite: now,
      queue: [],
      queued: 0,
      writing: false,
      stuckSince: now,
    };
    this.#streams.set(replica, stream);
    sink.once('close', () => this.#forget(stream));
    sink.on('error', () => sink.destroy());
    this.#catchUp(stream);
  }

  /** Sends a change to whom it concerns, soon. */
  publish({ revision, broadcasts, gone }: NetmapUpdate): void {
    for (const { data, recipients } of broadcasts) {
      let event: Buffer | undefined;
      for (const replica of recipients) {
        const stream = this.#streams.get(replica);
        if (stream === undefined || stream.state !== 'current') continue;
        event ??= formatEvent('delta', revision, data);
        stream.pending.push(event);
        this.#pending.add(stream);
      }
    }
    this.#published = revision;
    for (const replica of gone) {
      const stream = this.#streams.get(replica);
      if (stream === undefined) continue;
      this.#end(stream, formatEvent('gone', revision, JSON.stringify(GONE)));
    }
    if (this.#pending.size > 0) {
      this.#run ??= setTimeout(() => this.#flush(), this.#runInterval);
    }
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

  #write(stream: Stream, data: Buffer): void {
    const now = this.#now();
    stream.lastWrite = now;
    if (stream.queued === 0) stream.stuckSince = now;
    stream.queue.push(data);
    stream.queued += data.length;
    this.#pump(stream);
    if (stream.queued > MAX_QUEUED) this.#leaveRun(stream, 'behind');
  }

  /** Writes piece by piece: the next one when the one before has left. */
  #pump(stream: Stream): void {
    const [first] = stream.queue;
    if (stream.writing || first === undefined) return;
    const piece = first.subarray(0, PIECE);
    if (piece.length === first.length) stream.queue.shift();
    else stream.queue[0] = first.subarray(PIECE);
    stream.writing = true;
    stream.sink.write(piece, () => {
      stream.writing = false;
      stream.queued -= piece.length;
      stream.stuckSince = this.#now();
      if (this.#streams.get(stream.replica) !== stream) return;
      if (stream.queued === 0) this.#drained(stream);
      else this.#pump(stream);
    });
  }

  /** No more events until it has caught up: then it gets what it missed in one. */
  #leaveRun(stream: Stream, state: Stream['state']): void {
    stream.state = state;
    stream.pending = [];
    this.#pending.delete(stream);
  }

  /** What was queued has been read. */
  #drained(stream: Stream): void {
    if (stream.state === 'large') {
      this.#large--;
      stream.state = 'behind';
    }
    if (stream.state === 'behind') this.#catchUp(stream);
    this.#nextWaiting();
  }

  /** Brings a reader up to date, now or when it is its turn. */
  #catchUp(stream: Stream): void {
    if (this.#large >= MAX_LARGE) {
      stream.state = 'waiting';
      this.#waiting.push(stream);
      return;
    }
    stream.state = 'current';
    // Undefined: it has missed nothing.
    const start = this.#index.start(stream.replica, stream.revision);
    if (start === undefined) return;
    stream.revision = start.revision;
    const event = formatEvent(start.event, start.revision, start.data);
    this.#write(stream, event);
    if (event.length <= LARGE) return;
    this.#leaveRun(stream, 'large');
    this.#large++;
  }

  #nextWaiting(): void {
    while (this.#large < MAX_LARGE) {
      const stream = this.#waiting.shift();
      if (stream === undefined) return;
      if (this.#streams.get(stream.replica) === stream) this.#catchUp(stream);
    }
  }

  #heartbeat(): void {
    const now = this.#now();
    for (const stream of this.#streams.values()) {
      if (stream.queued > 0) {
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
    if (queue.length === 0) sink.end(last);
    else sink.end();
    setTimeout(() => sink.destroy(), LINGER).unref();
  }

  #forget(stream: Stream): void {
    if (stream.state === 'large') this.#large--;
    this.#leaveRun(stream, 'behind');
    if (this.#streams.get(stream.replica) === stream) this.#streams.delete(stream.replica);
    this.#nextWaiting();
  }
}

const HEARTBEAT = Buffer.from(':\n\n');

/** @param data JSON on one line */
function formatEvent(event: string, revision: number, data: string): Buffer {
  return Buffer.from(`id: ${revision}\nevent: ${event}\ndata: ${data}\n\n`);
}
