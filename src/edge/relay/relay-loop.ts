/**
 * The event loop of the relay: everything that is done per visit, and all its side effects.
 *
 *   socket readable:  receive → decide → stamp, send on          (messages with a relay id)
 *                             → match sessions → open → bind     (messages for the edge itself)
 *
 * A binding is made or prolonged by transport data that authenticates and is new, never by a
 * handshake message: an initiation may be a replay from the time before a restart, transport data
 * proves that its sender has our answer.
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
  readonly sockets: UdpSockets;
  readonly device: Device;
  readonly aead: VectorAead;
  readonly core: RelayCore;
  readonly clock: Clock;
  /** Messages and bytes forwarded. */
  readonly forwarded: Float64Array;
  /** Authenticated data of a peer came from record `record` of `sources`. */
  readonly onHeard: (peer: number, sources: EndpointTable, record: number) => void;
  /** About once a second. */
  readonly onTick: () => void;
  /** The device has events to tell. */
  readonly onEvents: () => void;
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
  readonly #polls: { readonly fd: number; readonly poll: PollHandle }[] = [];
  readonly #tick: NodeJS.Timeout;
  /** What waits for a socket to become writable. */
  #blocked: 'forwarded' | 'own' | undefined;
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
      canSend: () => this.#blocked === undefined,
      send: () => this.#sendOwn(false),
      onEvents,
    });
    for (const fd of [parts.sockets.fd4, parts.sockets.fd6]) {
      if (fd < 0) continue;
      const poll = parts.addon.createPoll(fd, (events) => this.#onSocket(fd, events));
      parts.addon.setPoll(poll, READABLE);
      this.#polls.push({ fd, poll });
    }
    this.#tick = setInterval(() => this.#onTick(), TICK);
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
    const { addon, sockets, core } = this.#parts;
    for (const { poll } of this.#polls) addon.closePoll(poll);
    if (this.#blocked === 'forwarded') {
      const left = sockets.giveUp(this.#forwarding.outbound, core.endpoints);
      core.drops.add('relay_socket_closed', left);
    } else if (this.#blocked === 'own') {
      core.drops.add('relay_socket_closed', sockets.giveUp(this.#outbound));
    }
    sockets.close();
  }

  #onSocket(fd: number, events: number): void {
    if (events < 0) return;
    if ((events & WRITABLE) !== 0) this.#resume();
    if ((events & READABLE) !== 0 && this.#blocked === undefined) this.#receive(fd);
    if (!this.#closed) this.#protocol.finishVisit();
  }

  #receive(fd: number): void {
    const { sockets, clock } = this.#parts;
    const vector = this.#inbound;
    const now = clock.read();
    const started = now.monotonic;
    sockets.receive(fd, vector, INBOUND_BUFFERS);
    if (vector.length === 0) return;
    this.#forwarding.sort(now.monotonic);
    if (this.#forwarding.outbound.length > 0) {
      this.#sendForwarded(false);
      this.#share.addPackets(performance.now() - started);
    }
    if (vector.length > 0) this.#receiveOwn();
  }

  /** The runs that are for the edge itself: handshakes are copied away, data binds. */
  #receiveOwn(): void {
    const { device, aead, clock, onHeard } = this.#parts;
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
      if (authentic) onHeard(peer, v.sources, v.source[i]!);
    }
  }

  #sendForwarded(resume: boolean): void {
    const { sockets, core } = this.#parts;
    const family = sockets.send(this.#forwarding.outbound, resume, core.endpoints);
    this.#sent(family, 'forwarded');
  }

  #sendOwn(resume: boolean): void {
    this.#sent(this.#parts.sockets.send(this.#outbound, resume), 'own');
  }

  #sent(family: 0 | 4 | 6, what: 'forwarded' | 'own'): void {
    const { sockets, core, addon } = this.#parts;
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
    if (this.#blocked === 'forwarded') this.#sendForwarded(true);
    else if (this.#blocked === 'own') this.#sendOwn(true);
  }

  #onTick(): void {
    const { sockets, core, clock, onTick } = this.#parts;
    clock.read();
    const dropped = sockets.kernelDrops();
    if (dropped > this.#kernelDrops) {
      core.drops.add('relay_receive_full', dropped - this.#kernelDrops);
    }
    this.#kernelDrops = dropped;
    if (++this.#ticks % FORGET_PATHS === 0) sockets.forgetPaths(core.endpoints);
    onTick();
    this.#protocol.finishVisit();
  }
}
