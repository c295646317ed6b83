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
import type { DeniedFlow } from '../policy/policy-enforcer.ts';
import { deniedEntry, entryOf, type FlowEntry, isoTime, wasAnswered } from './flow-entry.ts';
import type { Ends } from './flow-sides.ts';
import type { LineTarget } from './line-target.ts';

/** ms between two lines of a connection that goes on. */
export const ACTIVE_INTERVAL = 600_000;
/** Connections remembered: 600 bytes each. */
const MAX_KNOWN = 32_768;

/** What one look keeps of a connection for the next: its entry as it was, and the figures that changed. */
interface Known {
  /** Of the last look that saw it. */
  look: number;
  /** ms since the Unix epoch: when it was told last, or began. */
  told: number;
  readonly entry: FlowEntry;
  packetsOut: number;
  bytesOut: number;
  packetsBack: number;
  bytesBack: number;
  answered: boolean;
}

export class FlowLog {
  readonly #target: LineTarget;
  readonly #known = new Map<number, Known>();
  /** What ended since the look began, which may come to it yet: its picture is a moment old. */
  readonly #ended = new Set<number>();
  #look = 0;
  #looking = false;

  constructor(target: LineTarget) {
    this.#target = target;
  }

  get target(): LineTarget {
    return this.#target;
  }

  /** The kernel has forgotten a connection. */
  handleEnd(record: ConntrackRecord, ends: Ends, now: number): void {
    const key = connectionKey(record);
    this.#known.delete(key);
    if (this.#looking && this.#ended.size < MAX_KNOWN) this.#ended.add(key);
    this.#write(entryOf('end', record, ends, now));
  }

  /** A look at all connections begins. */
  beginLook(): void {
    this.#look++;
    this.#looking = true;
    this.#ended.clear();
  }

  /** The look has come to one that goes on. */
  handleListed(record: ConntrackRecord, ends: Ends, now: number): void {
    const key = connectionKey(record);
    if (this.#ended.has(key)) return;
    const known = this.#known.get(key);
    if (known === undefined) {
      if (this.#known.size < MAX_KNOWN) this.#known.set(key, this.#remember(record, ends, now));
      return;
    }
    known.look = this.#look;
    known.packetsOut = record.packetsOut;
    known.bytesOut = record.bytesOut;
    known.packetsBack = record.packetsBack;
    known.bytesBack = record.bytesBack;
    known.answered ||= wasAnswered(record);
    if (now - known.told < ACTIVE_INTERVAL) return;
    known.told = now;
    this.#write(entryOfKnown('active', known, now));
  }

  /**
   * The look is complete. Two that did not see a connection: it has ended, and its event was lost, or
   * the kernel had none for it.
   */
  endLook(now: number): void {
    this.#looking = false;
    this.#ended.clear();
    for (const [key, known] of this.#known) {
      if (this.#look - known.look < 2) continue;
      this.#known.delete(key);
      this.#write(entryOfKnown('end', known, now));
    }
  }

  handleDenied(denied: DeniedFlow, ends: Ends): void {
    this.#write(deniedEntry(denied, ends));
  }

  /** Events were lost: nobody knows how many. */
  handleLost(now: number): void {
    this.#target.write(gapLine(null, 'the kernel had more events than could be read', now));
  }

  /** The log ends: what goes on is told as open, with the figures of the last look. */
  async close(now: number): Promise<void> {
    for (const known of this.#known.values()) this.#write(entryOfKnown('open', known, now));
    this.#known.clear();
    await this.#target.close();
  }

  #remember(record: ConntrackRecord, ends: Ends, now: number): Known {
    const { packetsOut, bytesOut, packetsBack, bytesBack } = record;
    return {
      look: this.#look,
      told: record.start === 0 ? now : record.start,
      entry: entryOf('active', record, ends, now),
      ...{ packetsOut, bytesOut, packetsBack, bytesBack },
      answered: wasAnswered(record),
    };
  }

  #write(entry: FlowEntry): void {
    this.#target.write(`${JSON.stringify(entry)}\n`);
  }
}

/** With the figures of the last look that saw it. When it ended is not known. */
function entryOfKnown(event: 'active' | 'end' | 'open', known: Known, now: number): FlowEntry {
  const { entry, packetsOut, bytesOut, packetsBack, bytesBack, answered } = known;
  const isCounted = entry.sent !== null;
  return {
    ...entry,
    time: isoTime(now),
    event,
    answered,
    sent: isCounted ? { packets: packetsOut, bytes: bytesOut } : null,
    received: isCounted ? { packets: packetsBack, bytes: bytesBack } : null,
    end: null,
  };
}

/** Its place in the log where records are missing. @param records null = nobody knows how many */
export function gapLine(records: number | null, reason: string, now: number): string {
  return `${JSON.stringify({ time: isoTime(now), event: 'gap', records, reason })}\n`;
}
