/**
 * Many connectors' netmap streams in one process. Its first line of input says which; then for each
 * delta it prints the monotonic times at which the streams had received, validated and applied it:
 *
 *   ready
 *   {"revision":7,"times":[…]}      milliseconds, one for each stream
 *
 * Each stream keeps a netmap of its own to apply deltas to, with only the peer that changes in it:
 * whole netmaps of all would fill this machine's memory, which is not what is measured.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { connect, type TLSSocket } from 'node:tls';
import type { Netmap } from '../../src/control/netmap.ts';
import { applyDelta } from '../../src/control/netmap-delta.ts';
import { decodeDelta } from '../../src/control/netmap-text.ts';
import { EventStreamDecoder } from '../../src/gateway/mesh/event-stream.ts';

export interface ReaderSettings {
  readonly readers: readonly { readonly credential: string; readonly netmap: number }[];
  /** What readers apply deltas to, by their `netmap`. */
  readonly netmaps: readonly Netmap[];
  readonly port: number;
  /** With the netmap that is current; otherwise the whole netmap comes first. */
  readonly resumed: boolean;
}

const MAX_EVENT = 64 << 20;
/** Connections that are being opened at a time. */
const OPENING = 64;

const lines = createInterface({ input: process.stdin });
const [line] = (await once(lines, 'line')) as [string];
const settings = JSON.parse(line) as ReaderSettings;
const times = new Map<number, number[]>();

function monotonic(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

function applied(revision: number): void {
  let all = times.get(revision);
  if (all === undefined) {
    all = [];
    times.set(revision, all);
  }
  all.push(monotonic());
  if (all.length < settings.readers.length) return;
  times.delete(revision);
  process.stdout.write(`${JSON.stringify({ revision, times: all })}\n`);
}

class Reader {
  #netmap: Netmap;
  readonly #decoder = new EventStreamDecoder(MAX_EVENT);
  #headSeen = false;
  #socket: TLSSocket | undefined;
  #closed = false;
  #last: string | undefined;
  /** With the id of the first event, of a stream that is not resumed. */
  readonly #started = Promise.withResolvers<string>();

  constructor(netmap: Netmap) {
    this.#netmap = netmap;
  }

  /** @param last id of the netmap that is resumed; undefined = the whole one */
  async open(credential: string, last: string | undefined): Promise<string> {
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port: settings.port,
      rejectUnauthorized: false,
    });
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('close', () => this.#closed || this.#fail('the stream ended'));
    this.#socket = socket;
    await once(socket, 'secureConnect');
    const id = last === undefined ? '' : `last-event-id: ${last}\r\n`;
    this.#last = last;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.write(
      `GET /v1/netmap HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${credential}\r\n${id}\r\n`,
    );
    return this.#started.promise;
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
  }

  #take(bytes: Buffer): void {
    let body: Buffer = bytes;
    if (!this.#headSeen) {
      const end = bytes.indexOf('\r\n\r\n');
      if (!bytes.toString('latin1', 0, 12).startsWith('HTTP/1.1 200') || end < 0) {
        this.#fail(bytes.toString('latin1', 0, 200));
      }
      this.#headSeen = true;
      body = bytes.subarray(end + 4);
      if (this.#last !== undefined) this.#started.resolve(this.#last);
    }
    for (const { name, data, id } of this.#decoder.decode(body) ?? []) this.#event(name, data, id);
  }

  #event(name: string, data: string, id: string): void {
    if (name === 'netmap') {
      if (!data.startsWith('{"format":1,')) this.#fail('no netmap');
      this.#started.resolve(id);
      return;
    }
    const decoded = decodeDelta(data);
    if (name !== 'delta' || !decoded.ok) this.#fail(`${name}: ${data.slice(0, 200)}`);
    this.#netmap = applyDelta(this.#netmap, decoded.value);
    applied(decoded.value.revision);
  }

  #fail(reason: string): never {
    process.stderr.write(`a netmap stream failed: ${reason}\n`);
    process.exit(1);
  }
}

async function currentId(): Promise<string> {
  const [{ credential, netmap }] = settings.readers as [ReaderSettings['readers'][number]];
  const reader = new Reader(settings.netmaps[netmap]!);
  const id = await reader.open(credential, undefined);
  reader.close();
  return id;
}

const last = settings.resumed ? await currentId() : undefined;
const queue = [...settings.readers];
await Promise.all(
  Array.from({ length: OPENING }, async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      await new Reader(settings.netmaps[next.netmap]!).open(next.credential, last);
    }
  }),
);
process.stdout.write('ready\n');
