/**
 * The event loop of the relay: everything that is done per visit, and all its side effects.
 *
 *   socket readable:  receive → decide → stamp, send on          (messages with a relay id)
 *                             → match sessions → open → bind     (messages for the edge itself)
 *
 * A binding is made or prolonged by transport data that authenticates and is new, never by a
 * handshake message: an initiation may be a replay from the time before a restart, transport data
 * proves that its sender has our answer. A farewell of the sender's last session ends it.
 *
 * While a socket takes no more, nothing is received: messages wait in the kernel's buffer, where they
 * are counted when it is full.
 */

import type { Clock } from '../../clock.ts';
import type { RelayCore } from '../../control/relay/relay-core.ts';
import { type Addon, type PollHandle, READABLE, WRITABLE } from '../../native/addon.ts';
import { ProtocolLoop } from '../../udp/protocol-loop.ts';
import type { UdpSockets } from '../../udp/udp-sockets.ts';
import {
  type EndpointTable,
  InboundVector,
  OutboundVector,
  type VectorAead,
} from '../../vector.ts';
import type { Device } from '../../wireguard/device.ts';
import { HandshakeShare } from '../../wireguard/handshake-share.ts';
import { Forwarding } from './forwarding.ts';

/** Receive buffers of one visit, each of the largest GRO datagram, and what they can be cut into. */
const INBOUND_BUFFERS = 8;
const INBOUND_BUFFER = 1 << 16;
const INBOUND_MESSAGES = INBOUND_BUFFERS * 128;
/** What the edge itself sends: handshakes and keepalives. */
const OUTBOUND_ENTRIES = 64;
const OUTBOUND_ARENA = 16 << 10;
/** Milliseconds between looks at what has come to its time. */
const TICK = 1_000;
/** Ticks after which paths that refused segmentation may try again. */
const FORGET_PATHS = 60;

export interface RelayLoopParts {
  readonly addon: Addon;
  readonly device: Device;
  readonly aead: VectorAead;
  readonly core: RelayCore;
  readonly clock: Clock;
  /** Messages and bytes forwarded. */
  readonly forwarded: Float64Array;
  /** Authenticated data of a peer came from record `record` of `sources`. */
  readonly onHeard: (peer: number, sources: EndpointTable, record: number) => void;
  /** A peer said that it ends. */
  readonly onLeft: (peer: number) => void;
  /** About once a second. */
  readonly onTick: () => void;
  /** The device has events to tell. */
  readonly onEvents: () => void;
  /** The kernel took a socket away (an administrator may, with `ss -K`): open new ones. */
  readonly onSocketsLost: () => void;
}

export class RelayLoop {
  readonly #parts: RelayLoopParts;
  readonly #inbound = new InboundVector(
    INBOUND_MESSAGES,
    INBOUND_MESSAGES,
    INBOUND_BUFFERS * INBOUND_BUFFER,
    INBOUND_BUFFERS,
  );
  readonly #forwarding: Forwarding;
  readonly #outbound = new OutboundVector(OUTBOUND_ENTRIES, OUTBOUND_ARENA);
  readonly #share = new HandshakeShare();
  readonly #protocol: ProtocolLoop;
  readonly #tick: NodeJS.Timeout;
  #sockets: UdpSockets | undefined;
  #polls: { readonly fd: number; readonly poll: PollHandle }[] = [];
  /** What waits for a socket to become writable. */
  #blocked: 'forwarded' | 'own' | undefined;
  /** Datagrams that the open sockets' buffers had no room for, when they were counted last. */
  #kernelDrops = 0;
  #ticks = 0;
  #closed = false;

  constructor(parts: RelayLoopParts) {
    this.#parts = parts;
    this.#forwarding = new Forwarding(parts.core, this.#inbound, parts.forwarded);
    const { device, aead, clock, onEvents } = parts;
    this.#protocol = new ProtocolLoop({
      protocol: device,
      aead,
      clock,
      share: this.#share,
      outbound: this.#outbound,
      canSend: () => this.#blocked === undefined && this.#sockets !== undefined,
      send: () => this.#sendOwn(false),
      onEvents,
    });
    this.#tick = setInterval(() => this.#onTick(), TICK);
  }

  /** It has sockets. */
  get isOpen(): boolean {
    return this.#sockets !== undefined;
  }

  /** Takes over open sockets, closing the ones before with what waits for them; undefined = none. */
  useSockets(sockets: UdpSockets | undefined): void {
    const { addon } = this.#parts;
    for (const { poll } of this.#polls) addon.closePoll(poll);
    this.#polls = [];
    if (this.#sockets !== undefined) this.#giveUp(this.#sockets);
    this.#sockets = sockets;
    if (sockets === undefined) return;
    for (const fd of [sockets.fd4, sockets.fd6]) {
      if (fd < 0) continue;
      const poll = addon.createPoll(fd, (events) => this.#onSocket(fd, events));
      addon.setPoll(poll, READABLE);
      this.#polls.push({ fd, poll });
    }
  }

  #giveUp(sockets: UdpSockets): void {
    const { core } = this.#parts;
    this.#countKernelDrops(sockets);
    this.#kernelDrops = 0;
    if (this.#blocked === 'forwarded') {
      const left = sockets.giveUp(this.#forwarding.outbound, core.endpoints);
      core.drops.add('relay_socket_closed', left);
    } else if (this.#blocked === 'own') {
      core.drops.add('relay_socket_closed', sockets.giveUp(this.#outbound));
    }
    this.#blocked = undefined;
    sockets.close();
  }

  /** To be called after anything was done to the device from outside a visit. */
  afterChange(): void {
    this.#protocol.finishVisit();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#protocol.close();
    clearInterval(this.#tick);
    this.useSockets(undefined);
  }

  #onSocket(fd: number, events: number): void {
    if (events < 0) {
      this.#parts.onSocketsLost();
      return;
    }
    if ((events & WRITABLE) !== 0) this.#resume();
    if ((events & READABLE) !== 0 && this.#blocked === undefined) this.#receive(fd);
    if (!this.#closed) this.#protocol.finishVisit();
  }

  #receive(fd: number): void {
    const { clock } = this.#parts;
    const sockets = this.#sockets;
    if (sockets === undefined) return;
    const vector = this.#inbound;
    const now = clock.read();
    const started = now.monotonic;
    sockets.receive(fd, vector, INBOUND_BUFFERS);
    if (vector.length === 0) return;
    this.#forwarding.sort(now.monotonic);
    if (this.#forwarding.outbound.length > 0) {
      this.#sendForwarded(sockets, false);
      this.#share.addPackets(performance.now() - started);
    }
    if (vector.length > 0) this.#receiveOwn();
  }

  /** The runs that are for the edge itself: handshakes are copied away, data binds. */
  #receiveOwn(): void {
    const { device, aead, clock, onHeard, onLeft } = this.#parts;
    const v = this.#inbound;
    device.handleInbound(v, clock);
    aead.openVector(v);
    device.handleOpened(v, clock);
    for (let i = 0; i < v.length; i++) {
      const peer = device.peerOfRun(v, i);
      if (peer < 0) continue;
      let authentic = false;
      const first = v.first[i]!;
      for (let k = first; k < first + v.count[i]!; k++) authentic ||= v.plain[k]! >= 0;
      if (!authentic) continue;
      const farewell = device.handleFarewell(v, i);
      if (farewell === 'ended') onLeft(peer);
      else if (farewell === 'none') onHeard(peer, v.sources, v.source[i]!);
    }
  }

  #sendForwarded(sockets: UdpSockets, resume: boolean): void {
    const { endpoints } = this.#parts.core;
    const family = sockets.send(this.#forwarding.outbound, resume, endpoints);
    this.#sent(sockets, family, 'forwarded');
  }

  #sendOwn(resume: boolean): void {
    const sockets = this.#sockets;
    if (sockets === undefined) return;
    this.#sent(sockets, sockets.send(this.#outbound, resume), 'own');
  }

  #sent(sockets: UdpSockets, family: 0 | 4 | 6, what: 'forwarded' | 'own'): void {
    const { core, addon } = this.#parts;
    const failed = sockets.refused + sockets.tooLong + sockets.unreachable;
    if (failed > 0) core.drops.add('relay_send_error', failed);
    const wasBlocked = this.#blocked !== undefined;
    this.#blocked = family === 0 ? undefined : what;
    if (family === 0 && !wasBlocked) return;
    const waiting = family === 4 ? sockets.fd4 : sockets.fd6;
    for (const { fd, poll } of this.#polls) {
      if (family === 0) addon.setPoll(poll, READABLE);
      else addon.setPoll(poll, fd === waiting ? WRITABLE : 0);
    }
  }

  #resume(): void {
    if (this.#blocked === 'forwarded') this.#sendForwarded(this.#sockets!, true);
    else if (this.#blocked === 'own') this.#sendOwn(true);
  }

  #onTick(): void {
    const { core, clock, onTick } = this.#parts;
    const sockets = this.#sockets;
    clock.read();
    if (sockets !== undefined) this.#countKernelDrops(sockets);
    if (++this.#ticks % FORGET_PATHS === 0) sockets?.forgetPaths(core.endpoints);
    onTick();
    this.#protocol.finishVisit();
  }

  #countKernelDrops(sockets: UdpSockets): void {
    const dropped = sockets.kernelDrops();
    const more = dropped - this.#kernelDrops;
    if (more > 0) this.#parts.core.drops.add('relay_receive_full', more);
    this.#kernelDrops = dropped;
  }
}
