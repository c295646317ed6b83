/**
 * What a daemon tells the service manager that started it: sd_notify(3), a datagram to the socket in
 * NOTIFY_SOCKET. Without one, all of it does nothing. The watchdog is fed only by an answer of the
 * thread that carries the packets: one that hangs is killed, and started anew.
 */
import { loadAddon } from '../native/addon.ts';

/** How often the status is looked at where no watchdog wants to be fed. */
const STATUS_INTERVAL_MS = 10_000;
/** Of the watchdog's time: one answer may be late, and another lost. */
const WATCHDOG_SHARE = 3;

export interface Watched {
  /** Resolves when the thread that carries packets has answered; may reject. */
  answers(): Promise<void>;
  /** One line for people. */
  status(): string;
}

export class ServiceManager {
  readonly #address: Uint8Array | undefined;
  /** Undefined = there is no watchdog. */
  readonly #watchdogMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #status = '';

  /** @param address as NOTIFY_SOCKET: a path, or `@` and an abstract name */
  constructor(address: string | undefined, watchdogMs?: number) {
    if (address !== undefined && /^[/@]./.test(address)) {
      this.#address = Buffer.from(address.replace(/^@/, '\0'));
      this.#watchdogMs = watchdogMs;
    }
  }

  /** The one that started this process. Takes the variables away: they are not for our children. */
  static inherited(environment: NodeJS.ProcessEnv = process.env): ServiceManager {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
    const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
    const microseconds = isOurs ? Number(WATCHDOG_USEC) : 0;
    return new ServiceManager(NOTIFY_SOCKET, microseconds > 0 ? microseconds / 1_000 : undefined);
  }

  /** The service does its work, for the first time or again after a reload. */
  ready(): void {
    this.#send('READY=1');
  }

  reloading(): void {
    const now = process.hrtime.bigint() / 1_000n;
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${now}`);
  }

  stopping(): void {
    this.#stop();
    this.#send('STOPPING=1');
  }

  /** Feeds the watchdog and keeps the status current, until `stopping`. */
  watch(watched: Watched): void {
    if (this.#address === undefined || this.#timer !== undefined) return;
    const interval =
      this.#watchdogMs === undefined ? STATUS_INTERVAL_MS : this.#watchdogMs / WATCHDOG_SHARE;
    this.#timer = setInterval(() => void this.#look(watched), interval).unref();
    void this.#look(watched);
  }

  async #look(watched: Watched): Promise<void> {
    const status = watched.status();
    if (status !== this.#status) this.#send(`STATUS=${status}`);
    this.#status = status;
    if (this.#watchdogMs === undefined || this.#asking) return;
    this.#asking = true;
    try {
      await watched.answers();
      if (this.#timer !== undefined) this.#send('WATCHDOG=1');
    } catch {
      // No answer: the watchdog goes unfed.
    } finally {
      this.#asking = false;
    }
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A manager that does not listen is none of our concern: it judges by what it hears. */
  #send(text: string): void {
    if (this.#address === undefined) return;
    loadAddon().sendUnixDatagram(this.#address, Buffer.from(text));
  }
}
