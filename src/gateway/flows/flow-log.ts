/**
 * The flow log: a line for each connection that crosses the mesh when it ends, and one now and then
 * while it goes on. Ends come from the kernel as events; connections that go on, and ends whose event was
 * lost, are found by looking at the kernel's whole table now and then.
 *
 * The address and ports in a line are those of the first packet, before any translation. What is not
 * known is null. Bounded: so many connections are remembered between looks; for more of them only the
 * end is logged.
 */
import { type ConntrackRecord, connectionKey } from '../../tun/conntrack-messages.ts';
import { type Denied, deniedEntry, entryOf, type FlowEntry, isoTime } from './flow-entry.ts';
import type { Ends } from './flow-sides.ts';
import type { LineTarget } from './line-target.ts';

/** ms between two lines of a connection that goes on. */
export const ACTIVE_INTERVAL = 600_000;
/** Connections remembered. */
const MAX_KNOWN = 65_536;

interface Known {
  /** Of the last look that saw it. */
  look: number;
  /** ms since the Unix epoch: when it was seen first, and told last. */
  readonly since: number;
  told: number;
  entry: FlowEntry;
}

export class FlowLog {
  readonly #target: LineTarget;
  readonly #known = new Map<number, Known>();
  #look = 0;

  constructor(target: LineTarget) {
    this.#target = target;
  }

  get target(): LineTarget {
    return this.#target;
  }

  /** The kernel has forgotten a connection. */
  handleEnd(record: ConntrackRecord, ends: Ends, now: number): void {
    this.#known.delete(connectionKey(record));
    this.#write(entryOf('end', record, ends, now));
  }

  /** A look at all connections begins. */
  beginLook(): void {
    this.#look++;
  }

  /** The look has come to one that goes on. */
  handleListed(record: ConntrackRecord, ends: Ends, now: number): void {
    const key = connectionKey(record);
    const known = this.#known.get(key);
    const entry = entryOf('active', record, ends, now);
    if (known === undefined) {
      if (this.#known.size >= MAX_KNOWN) return;
      const since = record.start === 0 ? now : record.start;
      this.#known.set(key, { look: this.#look, since, told: since, entry });
      return;
    }
    known.look = this.#look;
    known.entry = entry;
    if (now - known.told < ACTIVE_INTERVAL) return;
    known.told = now;
    this.#write(entry);
  }

  /**
   * The look is complete. Two that did not see a connection: it has ended, and its event was lost, or
   * the kernel had none for it.
   */
  endLook(now: number): void {
    for (const [key, { look, entry }] of this.#known) {
      if (this.#look - look < 2) continue;
      this.#known.delete(key);
      this.#write({ ...entry, time: isoTime(now), event: 'end', end: null });
    }
  }

  handleDenied(denied: Denied, ends: Ends): void {
    this.#write(deniedEntry(denied, ends));
  }

  /** Events were lost: nobody knows how many. */
  handleLost(now: number): void {
    this.#target.write(gapLine(null, 'the kernel had more events than could be read', now));
  }

  /** The log ends: what goes on is told as open, with the figures of the last look. */
  async close(now: number): Promise<void> {
    for (const { entry } of this.#known.values()) {
      this.#write({ ...entry, time: isoTime(now), event: 'open' });
    }
    this.#known.clear();
    await this.#target.close();
  }

  #write(entry: FlowEntry): void {
    this.#target.write(`${JSON.stringify(entry)}\n`);
  }
}

/** Its place in the log where records are missing. @param records null = nobody knows how many */
export function gapLine(records: number | null, reason: string, now: number): string {
  return `${JSON.stringify({ time: isoTime(now), event: 'gap', records, reason })}\n`;
}
