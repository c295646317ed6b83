/**
 * The event loop of the data plane: everything that is done per visit, and all its side effects.
 * Around it the protocol is pure (`wireguard/device.ts`) and the bytes are native (`tun/`, `udp/`).
 *
 *   TUN readable:     read and split → route, number → seal → send
 *   socket readable:  receive → match sessions → open → replay, roaming → gather → source → write
 *
 * A visit handles one vector and returns to the loop, so that the TUN, both sockets, timers and
 * messages of the main thread take turns. When a socket takes no more, the TUN is not read until it
 * does: the packets wait in the kernel's queue, where they are counted when they are dropped.
 */
import type { Clock } from '../../clock.ts';
import type { DropCounters } from '../../drops.ts';
import { type Addon, type PollHandle, READABLE, WRITABLE } from '../../native/addon.ts';
import { DRAINED, type TunDevice, VNET_HEADER_SIZE } from '../../tun/tun-device.ts';
import { ProtocolLoop } from '../../udp/protocol-loop.ts';
import type { UdpSockets } from '../../udp/udp-sockets.ts';
import { InboundVector, OutboundVector, type VectorAead } from '../../vector.ts';
import { type Device, MOST_ANSWER_SIZE } from '../../wireguard/device.ts';
import { HandshakeShare } from '../../wireguard/handshake-share.ts';
import type { PacketTap } from '../capture/packet-tap.ts';

/** Entries and arena bytes of the outbound vector; the arena holds any one super-packet. */
const OUTBOUND_ENTRIES = 512;
const OUTBOUND_ARENA = 1 << 20;
/** Bytes of messages after which a visit to the TUN stops reading: about what the L2 cache holds. */
const OUTBOUND_VISIT = 256 << 10;
/** Receive buffers of one visit, each of the largest GRO datagram, and what they can be cut into. */
const INBOUND_BUFFERS = 8;
const INBOUND_BUFFER = 1 << 16;
const INBOUND_MESSAGES = INBOUND_BUFFERS * 128;

const SOCKET_COUNT_INTERVAL = 1_000; // ms

export interface PacketLoopParts {
  readonly addon: Addon;
  readonly tun: TunDevice;
  readonly device: Device;
  readonly aead: VectorAead;
  readonly drops: DropCounters;
  readonly clock: Clock;
  /** The device vanished from under us. */
  readonly onGone: () => void;
  /** The device has events to tell. */
  readonly onEvents: () => void;
  /** The kernel took a socket away (an administrator may, with `ss -K`): open new ones. */
  readonly onSocketsLost: () => void;
}

export class PacketLoop {
  readonly #parts: PacketLoopParts;
  readonly #outbound = new OutboundVector(OUTBOUND_ENTRIES, OUTBOUND_ARENA);
  readonly #inbound = new InboundVector(
    INBOUND_MESSAGES,
    INBOUND_MESSAGES,
    INBOUND_BUFFERS * INBOUND_BUFFER,
    INBOUND_BUFFERS,
    INBOUND_MESSAGES,
  );
  readonly #answer = new Uint8Array(VNET_HEADER_SIZE + MOST_ANSWER_SIZE);
  readonly #answerPacket = this.#answer.subarray(VNET_HEADER_SIZE);
  readonly #share = new HandshakeShare();
  readonly #protocol: ProtocolLoop;
  readonly #tunPoll: PollHandle;
  #sockets: UdpSockets | undefined;
  #socketPolls: { readonly fd: number; readonly poll: PollHandle }[] = [];
  /** Datagrams that the open sockets' buffers had no room for, when they were counted last. */
  #socketDrops = 0;
  #countSocketAt = 0;
  /** Sees each packet where it is plaintext, while there is a capture. */
  tap: Pick<PacketTap, 'inbound' | 'outbound'> | undefined;
  /** The outbound vector waits for a socket to become writable. */
  #blocked = false;
  #closed = false;

  constructor(parts: PacketLoopParts) {
    this.#parts = parts;
    const { device, aead, clock, onEvents } = parts;
    this.#protocol = new ProtocolLoop({
      protocol: device,
      aead,
      clock,
      share: this.#share,
      outbound: this.#outbound,
      canSend: () => !this.#blocked && this.#sockets !== undefined,
      send: () => this.#send(false),
      onEvents,
    });
    this.#tunPoll = parts.addon.createPoll(parts.tun.fd, (events) => this.#onTun(events));
  }

  get sockets(): UdpSockets | undefined {
    return this.#sockets;
  }

  /**
   * Takes over open sockets, closing the ones before; undefined = none. What waits for the old ones to
   * become writable goes out by the new ones, or is dropped.
   */
  useSockets(sockets: UdpSockets | undefined): void {
    const { addon, drops, clock } = this.#parts;
    const waiting = this.#blocked;
    for (const { poll } of this.#socketPolls) addon.closePoll(poll);
    this.#socketPolls = [];
    if (waiting && sockets === undefined && this.#sockets !== undefined) {
      drops.add('out_socket_closed', this.#sockets.giveUp(this.#outbound));
    }
    if (this.#sockets !== undefined) this.#countSocketDrops(this.#sockets, clock.monotonic);
    this.#sockets?.close();
    this.#sockets = sockets;
    this.#socketDrops = 0;
    this.#blocked = false;
    // Without sockets the TUN is not read: the kernel hands over packets before we have heard that the
    // link is up, and a handshake that they start would be lost and tried again 5 s later.
    addon.setPoll(this.#tunPoll, sockets === undefined ? 0 : READABLE);
    if (sockets === undefined) return;
    for (const fd of [sockets.fd4, sockets.fd6]) {
      if (fd < 0) continue;
      const poll = addon.createPoll(fd, (events) => this.#onSocket(fd, events));
      addon.setPoll(poll, READABLE);
      this.#socketPolls.push({ fd, poll });
    }
    if (waiting) this.#send(true);
  }

  /** To be called after anything was done to the device from outside a visit. */
  afterChange(): void {
    this.#protocol.finishVisit();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#protocol.close();
    this.useSockets(undefined);
    this.#parts.addon.closePoll(this.#tunPoll);
  }

  #onTun(events: number): void {
    if (events < 0) {
      this.#gone();
      return;
    }
    this.#readTun();
    if (!this.#closed) this.#protocol.finishVisit();
  }

  #readTun(): void {
    const { tun, device, aead, drops, clock } = this.#parts;
    if (this.#blocked) return;
    const vector = this.#outbound;
    vector.clear();
    const now = clock.read();
    const started = now.monotonic;
    const status = tun.read(vector, device.mtu, OUTBOUND_VISIT);
    if (tun.malformed > 0) drops.add('out_malformed', tun.malformed);
    if (tun.options > 0) drops.add('out_options', tun.options);
    if (tun.unknownOffload > 0) drops.add('out_unknown_offload', tun.unknownOffload);
    if (vector.length > 0) {
      device.handleOutbound(vector, now);
      if (this.tap !== undefined) this.tap.outbound(vector, now);
      this.#answerSenders();
      aead.sealVector(vector);
      this.#send(false);
      this.#share.addPackets(performance.now() - started);
    }
    if (status !== 0 && status !== DRAINED) this.#gone();
  }

  /** Tells senders on this side whose packets were too long for their path. */
  #answerSenders(): void {
    const { tun, device, drops } = this.#parts;
    const out = this.#answerPacket;
    for (let size = device.pollAnswer(out); size > 0; size = device.pollAnswer(out)) {
      if (!tun.writePacket(this.#answer, size)) drops.add('in_tun_error');
    }
  }

  #onSocket(fd: number, events: number): void {
    if (events < 0) {
      this.#parts.onSocketsLost();
      return;
    }
    if ((events & WRITABLE) !== 0 && this.#blocked) {
      this.#send(true);
      if (!this.#blocked) this.#unblock();
    }
    if ((events & READABLE) !== 0) this.#receive(fd);
    if (!this.#closed) this.#protocol.finishVisit();
  }

  #receive(fd: number): void {
    const { tun, device, aead, drops, clock } = this.#parts;
    const vector = this.#inbound;
    const sockets = this.#sockets;
    if (sockets === undefined) return;
    const now = clock.read();
    const started = now.monotonic;
    sockets.receive(fd, vector, INBOUND_BUFFERS);
    if (sockets.uncut > 0) drops.add('in_socket_full', sockets.uncut);
    if (vector.length === 0) return;
    if (started >= this.#countSocketAt) this.#countSocketDrops(sockets, started);
    device.handleInbound(vector, now);
    aead.openVector(vector);
    device.handleOpened(vector, now);
    if (this.tap !== undefined) this.tap.inbound(vector, now);
    const groups = tun.gather(vector);
    if (tun.malformed > 0) drops.add('in_inner_malformed', tun.malformed);
    if (tun.options > 0) drops.add('in_inner_options', tun.options);
    if (tun.pathFrames > 0) device.handlePathFrames(vector, now);
    for (let i = 0; i < groups.length; i++) {
      const peer = device.peerOfRun(vector, groups.run[i]!);
      const refusal = device.refusalOf(peer, vector.arena, groups.offset[i]!);
      if (refusal !== undefined) {
        drops.add(refusal, groups.packets[i]!);
        groups.packets[i] = 0;
      }
    }
    if (groups.length > 0) {
      const refused = tun.write(vector);
      if (refused > 0) drops.add('in_tun_error', refused);
    }
    this.#share.addPackets(performance.now() - started);
    // The kernel answers in the write itself (acknowledgements, echo): send that in this visit.
    if (groups.length > 0) this.#readTun();
  }

  /** What the kernel dropped before we could read it; asked for once a second while data comes. */
  #countSocketDrops(sockets: UdpSockets, now: number): void {
    const dropped = sockets.kernelDrops();
    if (dropped > this.#socketDrops) {
      this.#parts.drops.add('in_socket_full', dropped - this.#socketDrops);
    }
    this.#socketDrops = dropped;
    this.#countSocketAt = now + SOCKET_COUNT_INTERVAL;
  }

  /** Sends the outbound vector, or goes on with it; what a socket does not take now waits. */
  #send(resume: boolean): void {
    const { addon, drops, device, clock } = this.#parts;
    const vector = this.#outbound;
    const sockets = this.#sockets;
    if (sockets === undefined) return;
    const family = sockets.send(vector, resume);
    if (sockets.refused > 0) drops.add('out_send_error', sockets.refused);
    if (sockets.tooLong > 0) {
      drops.add('out_too_long', sockets.tooLong);
      device.doubtPaths(clock.monotonic);
    }
    if (sockets.unreachable > 0) drops.add('out_no_endpoint', sockets.unreachable);
    this.#blocked = family !== 0;
    if (!this.#blocked) return;
    addon.setPoll(this.#tunPoll, 0);
    const waiting = family === 4 ? sockets.fd4 : sockets.fd6;
    for (const { fd, poll } of this.#socketPolls) {
      addon.setPoll(poll, fd === waiting ? READABLE | WRITABLE : READABLE);
    }
  }

  #unblock(): void {
    this.#blocked = false;
    const { addon } = this.#parts;
    for (const { poll } of this.#socketPolls) addon.setPoll(poll, READABLE);
    addon.setPoll(this.#tunPoll, READABLE);
  }

  #gone(): void {
    this.#parts.addon.setPoll(this.#tunPoll, 0);
    this.#parts.onGone();
  }
}
