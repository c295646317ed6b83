/**
 * Watches the connections that cross the mesh: for the flow log, which is off unless a target is given,
 * and for the one-way detector. Both read the kernel's connection tracking, which is switched on for
 * them and off again; neither is in a packet's way.
 */
import type { Netmap } from '../../control/netmap.ts';
import type { Addon } from '../../native/addon.ts';
import { parseAddress } from '../../routing/address.ts';
import {
  CONNTRACK_GROUPS,
  type ConntrackRecord,
  connectionKey,
  STATUS,
  TCP_SYN_SENT,
} from '../../tun/conntrack-messages.ts';
import { ConntrackSocket } from '../../tun/conntrack-socket.ts';
import type { Log } from '../log.ts';
import type { Wanted } from '../mesh/netmap-translation.ts';
import { type HostNeeds, NO_NEEDS } from '../mesh/wanted-kernel.ts';
import { ConnectionLooks } from './connection-looks.ts';
import { addressText, type Denied } from './flow-entry.ts';
import { FlowLog } from './flow-log.ts';
import { type Ends, FlowSides } from './flow-sides.ts';
import { hostNumber } from './host-number.ts';
import type { LineTarget } from './line-target.ts';
import { type Direction, type Finding, OneWayDetector, type Target } from './one-way.ts';
import { checkTracking, trackingNeeds } from './tracking.ts';

/** ms between two looks: nothing is silent, something is, and for the log's sake alone. */
const LOOK_INTERVAL = 5_000;
const ALERT_INTERVAL = 1_000;
const LOG_INTERVAL = 30_000;
/** A burst of some ten thousand connections fits until it is read. */
const EVENT_BUFFER = 16 << 20;
/** ms that a netmap that keeps changing has to itself before the prefixes are read anew. */
const SIDES_INTERVAL = 1_000;
/** That, at least so many times as long as reading them took: of 100,000 it takes a while. */
const SIDES_REST = 50;
/** ms that the last look may take when the log ends. */
const LAST_LOOK = 2_000;

const TCP = 6;
const ICMP_ECHO = 8;
const ICMPV6_ECHO = 128;

export interface FlowSettings {
  readonly detect: boolean;
  /** Where the flow log goes; undefined = it is off. */
  readonly target: (() => LineTarget) | undefined;
}

export interface FlowWatchOptions {
  readonly interfaceName: string;
  readonly addon: Addon;
  readonly netmap: () => Netmap | undefined;
  readonly wanted: () => Wanted | undefined;
  /** Bytes that a peer has sent. */
  readonly heard: (publicKey: string) => number;
  /** Has the kernel so. */
  readonly need: (needs: HostNeeds) => Promise<void>;
  /** Where `nft` may read from. */
  readonly scratch: string;
  readonly onFindings: () => void;
  readonly log: Log;
}

export class FlowWatch {
  readonly #options: FlowWatchOptions;
  #detector: OneWayDetector | undefined;
  #flowLog: FlowLog | undefined;
  #looks: ConnectionLooks | undefined;
  #events: ConntrackSocket | undefined;
  #sides: FlowSides | undefined;
  /** What the sides were made of. */
  #sidesOf: Wanted | undefined;
  /** From when on they may be made of another. */
  #sidesNext = 0;
  #loggedAt = 0;
  #logging = false;
  #found = '';
  /** Times that the kernel had more events than were read. */
  lost = 0;
  /** Why connections cannot be followed; undefined = they can, or need not. */
  #fault: string | undefined;

  constructor(options: FlowWatchOptions) {
    this.#options = options;
  }

  get log(): FlowLog | undefined {
    return this.#flowLog;
  }

  get fault(): string | undefined {
    return this.#fault ?? this.#looks?.fault;
  }

  get findings(): readonly Finding[] {
    return this.#detector?.findings() ?? [];
  }

  /** From now on so. What cannot be is said by `fault`, and does not throw. Called one after the other. */
  async apply({ detect, target }: FlowSettings): Promise<void> {
    await this.#stop(detect);
    if (!detect && target === undefined) {
      await this.#options.need(NO_NEEDS);
      return;
    }
    const { interfaceName, need, scratch, log } = this.#options;
    try {
      await checkTracking(interfaceName, scratch);
      await need(trackingNeeds(interfaceName, { track: true, count: target !== undefined }));
    } catch (error) {
      this.#fault = (error as Error).message;
      log.error({ err: error }, 'connections cannot be followed');
      this.#detector = undefined;
      return;
    }
    if (detect) this.#detector ??= new OneWayDetector();
    if (target !== undefined) this.#openLog(target());
    this.#looks = new ConnectionLooks(this.#options.addon, {
      onBegin: (now) => this.#beginLook(now),
      onConnection: (record) => this.#look(record),
      onEnd: (whole, now) => this.#endLook(whole, now),
      interval: () => this.#interval(),
    });
  }

  handleDenied(denied: Denied): void {
    const source = this.#sideOf(denied.source);
    const destination = this.#sideOf(denied.destination);
    this.#flowLog?.handleDenied(denied, { source, destination });
  }

  /** Writes what goes on as open. The kernel stays as it is: that goes with the interface. */
  async close(): Promise<void> {
    await this.#stop(false);
  }

  async #stop(keepsDetector: boolean): Promise<void> {
    const flowLog = this.#flowLog;
    if (flowLog !== undefined && this.#looks !== undefined) {
      this.#loggedAt = 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, LAST_LOOK);
      await Promise.race([this.#looks.once(), promise]);
      clearTimeout(timer);
    }
    this.#looks?.close();
    this.#events?.close();
    this.#looks = undefined;
    this.#events = undefined;
    if (!keepsDetector) this.#detector = undefined;
    this.#flowLog = undefined;
    this.#fault = undefined;
    this.#tell();
    await flowLog?.close(Date.now());
  }

  #openLog(target: LineTarget): void {
    const { addon, log } = this.#options;
    const flowLog = new FlowLog(target);
    this.#flowLog = flowLog;
    const socket = ConntrackSocket.open(addon, CONNTRACK_GROUPS.destroy, EVENT_BUFFER, {
      onConnection: (record) => {
        const ends = this.#freshSides()?.ends(record.family, record.original, record.reply);
        if (record.destroyed && ends !== undefined) flowLog.handleEnd(record, ends, Date.now());
      },
      onDone: () => {},
      onError: () => {},
      onLost: () => {
        this.lost++;
        flowLog.handleLost(Date.now());
      },
    });
    if (typeof socket !== 'number') this.#events = socket;
    else {
      this.#fault = `The kernel gives no events of connections (error ${-socket}).`;
      log.error({ errno: -socket }, 'no events of connections: ends are found by looking alone');
    }
  }

  #interval(): number {
    if (this.#detector === undefined) return LOG_INTERVAL;
    return this.#detector.isAlert ? ALERT_INTERVAL : LOOK_INTERVAL;
  }

  #beginLook(now: number): void {
    this.#freshSides();
    this.#detector?.beginLook(now);
    this.#logging = this.#flowLog !== undefined && now - this.#loggedAt >= LOG_INTERVAL;
    if (!this.#logging) return;
    this.#loggedAt = now;
    this.#flowLog?.beginLook();
  }

  #look(record: ConntrackRecord): void {
    const ends = this.#sides?.ends(record.family, record.original, record.reply);
    if (ends === undefined) return;
    if (this.#logging) this.#flowLog?.handleListed(record, ends, Date.now());
    const detector = this.#detector;
    const subject = subjectOf(ends);
    if (detector === undefined || subject === undefined) return;
    const { direction, target } = subject;
    const { family, original } = record;
    const key = connectionKey(record);
    const host = hostNumber(family, original.destination);
    if ((record.status & STATUS.seenReply) !== 0) {
      detector.noteAnswered(direction, target, key, host);
    } else if (owesAnswer(record)) {
      const origin = hostNumber(family, original.source);
      detector.noteSilent(direction, target, { key, host, origin }, () =>
        addressText(family, original.destination),
      );
    }
  }

  #endLook(whole: boolean, now: number): void {
    if (this.#logging && whole) this.#flowLog?.endLook(now);
    this.#logging = false;
    if (whole) this.#detector?.endLook(this.#options.heard);
    else this.#detector?.abandonLook();
    this.#tell();
  }

  /** Says when the findings are others. */
  #tell(): void {
    const found = this.findings.map(({ direction, prefix, about }) => [direction, prefix, about]);
    if (String(found) === this.#found) return;
    this.#found = String(found);
    this.#options.onFindings();
  }

  /** Whose prefixes are whose, as the netmap says now, or said a moment ago. */
  #freshSides(): FlowSides | undefined {
    const wanted = this.#options.wanted();
    if (wanted === this.#sidesOf) return this.#sides;
    const now = performance.now();
    if (this.#sides !== undefined && now < this.#sidesNext) return this.#sides;
    const netmap = this.#options.netmap();
    const sides = netmap && wanted && (this.#sides ?? new FlowSides());
    if (netmap !== undefined && wanted !== undefined) sides?.update(netmap, wanted);
    this.#sides = sides;
    this.#sidesOf = wanted;
    const took = performance.now() - now;
    this.#sidesNext = now + Math.max(SIDES_INTERVAL, took * SIDES_REST);
    this.#detector?.retain((direction, { prefix, connector }) => {
      const side = sides?.get(prefix);
      return side?.connector === connector && side.remote === (direction === 'out');
    });
    return sides;
  }

  #sideOf(text: string) {
    const parsed = parseAddress(text);
    return parsed && this.#freshSides()?.of(parsed.family, parsed.address);
  }
}

/** The prefix that a connection says something of; none of a default route: the internet is not ours. */
function subjectOf({
  source,
  destination,
}: Ends): { readonly direction: Direction; readonly target: Target } | undefined {
  if (destination === undefined || destination.whole) return undefined;
  if (!destination.remote) {
    const fromMesh = source?.remote === true && !source.whole;
    return fromMesh ? { direction: 'in', target: destination } : undefined;
  }
  return source?.remote === true ? undefined : { direction: 'out', target: destination };
}

function owesAnswer({ protocol, tcpState, icmpType }: ConntrackRecord): boolean {
  if (protocol === TCP) return tcpState === TCP_SYN_SENT;
  return icmpType === ICMP_ECHO || icmpType === ICMPV6_ECHO;
}
