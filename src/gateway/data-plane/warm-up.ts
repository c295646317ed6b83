/**
 * Runs packets through the protocol before the first real one comes, between two devices in memory,
 * so that the engine has compiled the hot path: without it the first hundreds of packets take twice
 * to ten times as long, and the first handshake 20 ms (docs/performance.md).
 */

import { Clock } from '../../clock.ts';
import { DropCounters } from '../../drops.ts';
import type { Primitives } from '../../primitives.ts';
import type { VectorAead } from '../../vector.ts';
import {
  ENDPOINT_RECORD_WORDS,
  EndpointTable,
  InboundVector,
  OutboundVector,
} from '../../vector.ts';
import { ALLOWED_IP_RECORD } from '../../wireguard/configuration.ts';
import { Device, SCRATCH_ENDPOINTS, SLOTS_PER_PEER } from '../../wireguard/device.ts';
import { PeerStatistics } from '../../wireguard/peer-statistics.ts';

export interface WarmUpParts {
  readonly makeAead: (slots: number) => VectorAead;
  readonly primitives: Primitives;
  readonly random: (into: Uint8Array) => void;
}

/** Milliseconds at the most; compiled code is there long before on any machine. */
const MOST = 150;
/**
 * Pairs of devices, one after the other: what is done once for each is compiled as well. Not more,
 * because nothing collects what they leave behind.
 */
const PAIRS = 2;
const ROUNDS = 800;
/** What `warmUp` sends unless its time is up. */
export const WARM_UP_PACKETS = PAIRS * ROUNDS;
const HANDSHAKES = 2;
/** Rounds between changes of the address that a packet comes from. */
const ROAMING = 50;

const PACKET_SIZE = 28;

class Side {
  readonly device: Device;
  readonly aead: VectorAead;
  readonly outbound = new OutboundVector(16, 1 << 13);
  readonly inbound = new InboundVector(16, 16, 1 << 13, 1);
  readonly publicKey = new Uint8Array(32);
  readonly #privateKey = new Uint8Array(32);

  constructor(parts: WarmUpParts) {
    this.aead = parts.makeAead(SLOTS_PER_PEER);
    parts.random(this.#privateKey);
    parts.primitives.x25519Base(this.publicKey, this.#privateKey);
    this.device = new Device({
      aead: this.aead,
      primitives: parts.primitives,
      random: parts.random,
      endpoints: new EndpointTable(1 + SCRATCH_ENDPOINTS),
      statistics: new PeerStatistics(1, new SharedArrayBuffer(PeerStatistics.bytesFor(1))),
      drops: new DropCounters(new SharedArrayBuffer(DropCounters.BYTES)),
      maxPeers: 1,
    });
  }

  configure(peer: Side, now: Clock): void {
    const allowedIps = new Uint8Array(2 * ALLOWED_IP_RECORD);
    // 0.0.0.0/16 and /24, where the packets come from. 0.0.0.0/0 would fill a table of 512 kB.
    allowedIps.set([0, 4, 16]);
    allowedIps.set([0, 4, 24], ALLOWED_IP_RECORD);
    const endpoint = {
      family: 4,
      address: new Uint8Array([127, 0, 0, 1]),
      port: 1,
      scope: 0,
    } as const;
    this.device.configure(
      {
        privateKey: this.#privateKey,
        peers: [{ publicKey: peer.publicKey, endpoint, allowedIps }],
      },
      now,
    );
  }

  /** One packet read from the TUN. */
  readPacket(): void {
    const vector = this.outbound;
    vector.clear();
    const size = 16 + 32 + 16;
    vector.length = 1;
    vector.used = size;
    vector.offset[0] = 0;
    vector.stride[0] = size;
    vector.lastSize[0] = size;
    vector.count[0] = 1;
    const packet = vector.arena.fill(0, 16, 48);
    packet[16] = 0x45;
    packet[16 + 3] = PACKET_SIZE;
    packet[16 + 15] = 1;
    packet[16 + 19] = 1;
  }

  /** What the other side has in its outbound vector arrives here. */
  receiveFrom(sender: Side): void {
    const from = sender.outbound;
    const to = this.inbound;
    to.clear();
    to.arena.set(from.arena);
    const head = new DataView(to.arena.buffer);
    for (let i = 0; i < from.length; i++) {
      to.offset[i] = from.offset[i]!;
      to.stride[i] = from.stride[i]!;
      to.count[i] = from.count[i]!;
      to.lastSize[i] = from.lastSize[i]!;
      to.head[i] = head.getUint32(from.offset[i]!, true);
      to.receiver[i] = head.getUint32(from.offset[i]! + 4, true);
      to.slot[i] = -1;
      to.source[i] = 0;
      to.first[i] = i;
    }
    to.length = to.messages = from.length;
    to.sources.words.set(SOURCE);
  }
}

/** 127.0.0.1, some port. */
const SOURCE = new Int32Array(ENDPOINT_RECORD_WORDS);
SOURCE[0] = 4 | (1 << 16);
SOURCE[1] = 0x0100007f;

/** Returns how many packets arrived; `most`: milliseconds after which it ends in any case. */
export function warmUp(parts: WarmUpParts, most = MOST): number {
  const end = performance.now() + most;
  let arrived = 0;
  for (let pair = 0; pair < PAIRS && performance.now() < end; pair++) {
    arrived += warmUpPair(parts, end);
  }
  return arrived;
}

function warmUpPair(parts: WarmUpParts, end: number): number {
  // The class and the kind of numbers that packets will come with: compiled code is for these alone.
  const now = new Clock();
  const sides = [new Side(parts), new Side(parts)] as const;
  sides[0].configure(sides[1], now);
  sides[1].configure(sides[0], now);
  for (const side of sides) side.device.up(now);
  let arrived = 0;
  for (let round = 0; round < ROUNDS && performance.now() < end; round++) {
    // Far enough apart for a handshake each, then a second's worth of packets.
    const step = round < HANDSHAKES ? 200_000 : 1.125;
    now.monotonic += step;
    now.unix += step;
    if (round % ROAMING === 0) SOURCE[0] = 4 | ((1 + round) << 16);
    const [a, b] = round % 2 === 0 ? sides : [sides[1], sides[0]];
    for (const side of sides) side.device.handleTimeout(now);
    a.readPacket();
    arrived += exchange(a, b, now);
  }
  for (const side of sides) side.device.down(now);
  return arrived;
}

/** Carries what `a` read, and all that follows from it, until both are silent. */
function exchange(a: Side, b: Side, now: Clock): number {
  let arrived = 0;
  a.device.handleOutbound(a.outbound, now);
  a.aead.sealVector(a.outbound);
  let [from, to] = [a, b];
  for (let silent = 0; silent < 2; ) {
    to.receiveFrom(from);
    silent = from.outbound.length === 0 ? silent + 1 : 0;
    const vector = to.inbound;
    to.device.handleInbound(vector, now);
    to.aead.openVector(vector);
    to.device.handleOpened(vector, now);
    for (let i = 0; i < vector.length; i++) {
      if (vector.plain[i]! <= 0 || vector.slot[i]! < 0) continue;
      const peer = to.device.peerOfRun(vector, i);
      if (to.device.refusalOf(peer, vector.arena, vector.offset[i]! + 16) === undefined) arrived++;
    }
    to.device.handleHandshakes(now, 2);
    to.outbound.clear();
    to.device.pollTransmit(to.outbound, now);
    to.aead.sealVector(to.outbound);
    to.device.pollTimeout();
    while (to.device.pollEvent() !== undefined);
    [from, to] = [to, from];
  }
  return arrived;
}
