/**
 * Keeps the diagnosis listening on the mesh IPs that are in force, and nowhere else. What the kernel refuses,
 * an address that is not there yet or a port that somebody has, is tried again.
 *
 * Who comes is looked up by the address it comes from before a byte is read, and has its time for all of
 * question and answer. HTTP is loaded for the first one who may ask: a gateway that nobody asks has no
 * memory for it.
 */
import type { Server as HttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Log } from '../log.ts';
import { Backoff } from '../mesh/backoff.ts';
import type { DiagnosisAnswers, DiagnosisCounts } from './diagnosis-server.ts';
import { DIAGNOSIS_PORT } from './port.ts';

const MAX_CONNECTIONS = 16;
/** Of one asker: it shall not keep the others out. */
const MAX_OF_ASKER = 4;
/** ms that a connection may last. */
export const ANSWER_WITHIN = 6_000;

export interface ListenerOptions extends DiagnosisAnswers {
  /** Called when there is a fault, or none any more; not at the end. */
  readonly onFault: () => void;
  readonly log: Log;
  /** For tests. */
  readonly port?: number;
  readonly patience?: number;
}

interface Listening {
  /** Resolves when nothing is open any more. */
  close(): Promise<void>;
}

export class DiagnosisListener {
  /** What the kernel refused last; undefined = it listens on all wanted addresses. */
  fault: string | undefined;
  readonly counts: DiagnosisCounts = { answered: 0, stranger: 0, wrong: 0, limited: 0 };
  readonly #options: ListenerOptions;
  readonly #backoff = new Backoff(Math.random);
  readonly #open = new Map<string, Listening>();
  /** Open connections, by the id of the asker. */
  readonly #connections = new Map<string, number>();
  #http: HttpServer | undefined;
  #wanted: readonly string[] = [];
  #turn: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Listens on these addresses, and no others; resolves after the first attempt. Does not reject. */
  use(addresses: readonly string[]): Promise<void> {
    const isSame = addresses.join() === this.#wanted.join();
    if (this.#closed || (isSame && this.fault === undefined)) return this.#turn;
    this.#wanted = [...addresses];
    if (!isSame) this.#backoff.reset();
    return this.#again();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#wanted = [];
    await this.#again();
  }

  #again(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#adjust());
    return this.#turn;
  }

  async #adjust(): Promise<void> {
    clearTimeout(this.#timer);
    for (const [address, listening] of this.#open) {
      if (this.#wanted.includes(address)) continue;
      this.#open.delete(address);
      await listening.close();
    }
    const faults: string[] = [];
    for (const address of this.#wanted) {
      if (this.#open.has(address)) continue;
      try {
        this.#open.set(address, await this.#listen(address));
      } catch (error) {
        faults.push((error as Error).message);
      }
    }
    const fault = faults.length === 0 ? undefined : faults.join('; ');
    if (fault !== undefined && fault !== this.fault) {
      this.#options.log.warn({ fault }, 'other gateways cannot ask this one about flows');
    }
    const isNews = (fault === undefined) !== (this.fault === undefined);
    this.fault = fault;
    if (isNews && !this.#closed) this.#options.onFault();
    if (fault === undefined || this.#closed) return;
    this.#timer = setTimeout(() => void this.#again(), this.#backoff.next()).unref();
  }

  async #listen(host: string): Promise<Listening> {
    const { log, port = DIAGNOSIS_PORT } = this.#options;
    const sockets = new Set<Socket>();
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      this.#take(socket).catch((error: unknown) => {
        log.warn({ err: error }, 'diagnosis');
        socket.destroy();
      });
    });
    server.maxConnections = MAX_CONNECTIONS;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen({ host, port, backlog: MAX_CONNECTIONS }, resolve);
    await promise;
    server.removeListener('error', reject);
    // A connection that cannot be accepted, for want of descriptors: the next one may be.
    server.on('error', (error) => log.warn({ err: error }, 'diagnosis'));
    server.unref();
    return {
      close: async () => {
        const closed = new Promise<void>((done) => server.close(() => done()));
        for (const socket of sockets) socket.destroy();
        await closed;
      },
    };
  }

  async #take(socket: Socket): Promise<void> {
    socket.on('error', () => socket.destroy());
    const asker = this.#options.askerAt(socket.remoteAddress ?? '');
    if (asker === undefined) {
      this.counts.stranger++;
      socket.destroy();
      return;
    }
    if (!this.#admit(asker.id, socket)) {
      this.counts.limited++;
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), this.#options.patience ?? ANSWER_WITHIN);
    socket.once('close', () => clearTimeout(timer));
    const { createDiagnosisServer } = await import('./diagnosis-server.ts');
    if (socket.destroyed) return;
    this.#http ??= createDiagnosisServer(this.#options, this.counts);
    this.#http.emit('connection', socket);
    socket.resume();
  }

  /** Whether the asker may have one more connection, which is counted until it is closed. */
  #admit(id: string, socket: Socket): boolean {
    const open = this.#connections.get(id) ?? 0;
    if (open >= MAX_OF_ASKER || socket.destroyed) return false;
    this.#connections.set(id, open + 1);
    socket.once('close', () => {
      const left = this.#connections.get(id)! - 1;
      if (left === 0) this.#connections.delete(id);
      else this.#connections.set(id, left);
    });
    return true;
  }
}
