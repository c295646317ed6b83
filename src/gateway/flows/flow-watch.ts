/**
 * Watches the connections that cross the mesh: for the flow log, which is off unless a target is given,
 * and for the one-way detector. Both read the kernel's connection tracking, which is switched on for
 * them and off again; neither is in a packet's way.
 */

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
import type { ArrivedNetmap } from '../mesh/arrived-netmap.ts';
import { type HostNeeds, NO_NEEDS } from '../mesh/wanted-kernel.ts';
import type { DeniedFlow } from '../policy/policy-enforcer.ts';
import { ConnectionLooks } from './connection-looks.ts';
import { addressText } from './flow-entry.ts';
import { FlowLog } from './flow-log.ts';
import { type Ends, FlowSides, type Side } from './flow-sides.ts';
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
  /** The same object until there is another. */
  readonly arrived: () => ArrivedNetmap | undefined;
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
  #sidesOf: ArrivedNetmap | undefined;
  #loggedAt = 0;
  #logging = false;
  #found = '';
  /** Times that the kernel had more events than were read. */
  lost = 0;
  /** Why connections cannot be followed; undefined = they can, or need not. */
  #fault: string | undefined;
  /** Why there are no events; undefined = there are, or need not be. */
  #deaf: string | undefined;

  constructor(options: FlowWatchOptions) {
    this.#options = options;
  }

  get log(): FlowLog | undefined {
    return this.#flowLog;
  }

  get fault(): string | undefined {
    return this.#fault ?? this.#deaf ?? this.#looks?.fault;
  }

  get findings(): readonly Finding[] {
    return this.#detector?.findings() ?? [];
  }

  /** From now on so. What cannot be is said by `fault`, and does not throw. Called one after the other. */
  async apply({ detect, target }: FlowSettings): Promise<void> {
    const { need } = this.#options;
    const follows = detect || target !== undefined;
    const fault = follows ? await this.#prepare(target !== undefined) : undefined;
    const goesOn = follows && fault === undefined;
    await this.#stop({ detector: goesOn && detect, events: goesOn && target !== undefined });
    // Nothing is awaited from here on: what the kernel tells is the new log's.
    this.#fault = fault;
    if (!follows) await need(NO_NEEDS);
    if (!goesOn) return;
    if (detect) this.#detector ??= new OneWayDetector();
    if (target !== undefined) this.#flowLog = new FlowLog(target());
    this.#currentSides();
    this.#looks = new ConnectionLooks(this.#options.addon, {
      onBegin: (now) => this.#beginLook(now),
      onConnection: (record) => this.#look(record),
      onEnd: (whole, now) => this.#endLook(whole, now),
      interval: () => this.#interval(),
    });
  }

  /** Each in its turn: of one that was skipped nobody would know what crossed the mesh by it. */
  netmapArrived(): void {
    if (this.#looks !== undefined || this.#events !== undefined) this.#currentSides();
  }

  handleDenied(denied: DeniedFlow): void {
    if (this.#flowLog === undefined) return;
    const source = this.#sideOf(denied.source, denied.at);
    const destination = this.#sideOf(denied.destination, denied.at);
    this.#flowLog.handleDenied(denied, { source, destination });
  }

  /** Writes what goes on as open. The kernel stays as it is: that goes with the interface. */
  async close(): Promise<void> {
    await this.#stop({ detector: false, events: false });
  }

  /**
   * Has the kernel track connections. Those that begin when nobody listens end without an event, so
   * it is listened to before. Why that cannot be; undefined = it is so.
   */
  async #prepare(logs: boolean): Promise<string | undefined> {
    const { interfaceName, need, scratch, log } = this.#options;
    try {
      await checkTracking(interfaceName, scratch);
      if (logs) this.#listen();
      await need(trackingNeeds(interfaceName, { track: true, count: logs }));
      return undefined;
    } catch (error) {
      log.error({ err: error }, 'connections cannot be followed');
      return (error as Error).message;
    }
  }

  /** @param keeps what goes on with other settings, and loses nothing meanwhile */
  async #stop(keeps: { readonly detector: boolean; readonly events: boolean }): Promise<void> {
    const flowLog = this.#flowLog;
    if (flowLog !== undefined && this.#looks !== undefined) {
      this.#loggedAt = 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, LAST_LOOK);
      await Promise.race([this.#looks.once(), promise]);
      clearTimeout(timer);
    }
    this.#looks?.close();
    this.#looks = undefined;
    if (!keeps.events) {
      this.#events?.drain();
      this.#events?.close();
      this.#events = undefined;
      this.#deaf = undefined;
    }
    if (!keeps.detector) this.#detector = undefined;
    if (!keeps.detector && !keeps.events) {
      this.#sides = undefined;
      this.#sidesOf = undefined;
    }
    this.#tell();
    await flowLog?.close(Date.now());
    this.#flowLog = undefined;
  }

  /** To the ends of connections. */
  #listen(): void {
    if (this.#events !== undefined) return;
    this.#deaf = undefined;
    const { addon, log } = this.#options;
    const socket = ConntrackSocket.open(addon, CONNTRACK_GROUPS.destroy, EVENT_BUFFER, {
      onConnection: (record) => this.#end(record),
      onDone: () => {},
      onError: () => {},
      onLost: () => {
        this.lost++;
        this.#flowLog?.handleLost(Date.now());
      },
    });
    if (typeof socket !== 'number') this.#events = socket;
    else {
      this.#deaf = `The kernel gives no events of connections (error ${-socket}).`;
      log.error({ errno: -socket }, 'no events of connections: ends are found by looking alone');
    }
  }

  #end(record: ConntrackRecord): void {
    if (!record.destroyed || this.#flowLog === undefined) return;
    const ends = this.#endsOf(record);
    if (ends !== undefined) this.#flowLog.handleEnd(record, ends, Date.now());
  }

  /** Of a connection that crosses the mesh, or did when it began. */
  #endsOf({ family, original, reply, start }: ConntrackRecord): Ends | undefined {
    const sides = this.#currentSides();
    return (
      sides?.ends(family, original, reply) ?? sides?.formerEnds(family, original, reply, start)
    );
  }

  #interval(): number {
    if (this.#detector === undefined) return LOG_INTERVAL;
    return this.#detector.isAlert ? ALERT_INTERVAL : LOOK_INTERVAL;
  }

  #beginLook(now: number): void {
    this.#currentSides()?.forget(now);
    this.#detector?.beginLook(now);
    this.#logging = this.#flowLog !== undefined && now - this.#loggedAt >= LOG_INTERVAL;
    if (!this.#logging) return;
    this.#loggedAt = now;
    this.#flowLog?.beginLook();
  }

  #look(record: ConntrackRecord): void {
    if (this.#logging) {
      const logged = this.#endsOf(record);
      if (logged !== undefined) this.#flowLog?.handleListed(record, logged, Date.now());
    }
    const detector = this.#detector;
    if (detector === undefined) return;
    const ends = this.#currentSides()?.ends(record.family, record.original, record.reply);
    const subject = ends && subjectOf(ends);
    if (subject === undefined) return;
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

  /** Whose prefixes are whose, as the netmap says now. */
  #currentSides(): FlowSides | undefined {
    const arrived = this.#options.arrived();
    if (arrived === this.#sidesOf) return this.#sides;
    this.#sidesOf = arrived;
    if (arrived === undefined) this.#sides?.clear(Date.now());
    else {
      this.#sides ??= new FlowSides();
      this.#sides.update(arrived.netmap, arrived.wanted, arrived.at);
    }
    const sides = this.#sides;
    this.#detector?.retain((direction, { prefix, connector }) => {
      const side = sides?.get(prefix);
      return side?.connector === connector && side.remote === (direction === 'out');
    });
    return sides;
  }

  #sideOf(text: string, time: number): Side | undefined {
    const parsed = parseAddress(text);
    return parsed && this.#currentSides()?.at(parsed.family, parsed.address, time);
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
