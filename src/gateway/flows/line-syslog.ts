/**
 * Where the flow log's lines go, to the system's log: a datagram each to /dev/log, in the form that
 * syslog daemons and journald read there (RFC 3164 § 4.1 without the host's name, as syslog(3) writes
 * it). A daemon that is not there, or does not keep up, loses lines, which are counted.
 */
import { constants } from 'node:os';
import type { Addon } from '../../native/addon.ts';
import type { LineTarget } from './line-target.ts';

const SOCKET = '/dev/log';
/** daemon.info: facility 3, severity 6. */
const PRIORITY = 3 * 8 + 6;
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

export interface LineSyslogOptions {
  readonly addon: Pick<Addon, 'sendUnixDatagram'>;
  readonly now?: () => number;
  readonly path?: string;
  readonly onFault: (fault: string | undefined) => void;
}

export class LineSyslog implements LineTarget {
  readonly #options: LineSyslogOptions;
  readonly #address: Uint8Array;
  readonly #encoder = new TextEncoder();
  written = 0;
  dropped = 0;
  fault: string | undefined;

  constructor(options: LineSyslogOptions) {
    this.#options = options;
    this.#address = this.#encoder.encode(options.path ?? SOCKET);
  }

  write(line: string): void {
    const { addon, now = Date.now } = this.#options;
    const text = `<${PRIORITY}>${syslogTime(now())} causeway-flow[${process.pid}]: ${line.trimEnd()}`;
    const error = addon.sendUnixDatagram(this.#address, this.#encoder.encode(text));
    if (error === 0) this.written++;
    else this.dropped++;
    this.#say(error === 0 ? undefined : reasonOf(-error));
  }

  async close(): Promise<void> {}

  #say(fault: string | undefined): void {
    if (fault === this.fault) return;
    this.fault = fault;
    this.#options.onFault(fault);
  }
}

/** `Nov  8 17:18:57`, the host's own time. */
function syslogTime(unix: number): string {
  const date = new Date(unix);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${clock}`;
}

const { EAGAIN, ENOBUFS, ENOENT, ECONNREFUSED, EACCES } = constants.errno;
const REASONS: ReadonlyMap<number, string> = new Map([
  [EAGAIN, 'the syslog daemon does not keep up'],
  [ENOBUFS, 'the syslog daemon does not keep up'],
  [ENOENT, 'there is no /dev/log: no syslog daemon runs'],
  [ECONNREFUSED, 'no syslog daemon listens at /dev/log'],
  [EACCES, '/dev/log may not be written to'],
]);

function reasonOf(errno: number): string {
  return REASONS.get(errno) ?? `/dev/log gives error ${errno}`;
}
