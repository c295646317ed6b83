/**
 * The whole device under a million datagrams: random ones, and valid ones of a live session cut,
 * damaged, spliced and replayed, some with a mac1 that is right again. It must never throw, count
 * each of them exactly once, keep its bounds, and still carry packets afterwards.
 *
 * FUZZ_SEED and FUZZ_DATAGRAMS choose another million or more.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { isZero } from '../../src/bytes.ts';
import { DROP_REASON_NAMES, DropCounters } from '../../src/drops.ts';
import type { Curve } from '../../src/primitives.ts';
import {
  EndpointTable,
  InboundVector,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  OutboundVector,
} from '../../src/vector.ts';
import { CookieGenerator } from '../../src/wireguard/cookies.ts';
import { Device, SCRATCH_ENDPOINTS, SLOTS_PER_PEER } from '../../src/wireguard/device.ts';
import { noblePrimitives } from '../../src/wireguard/noble-primitives.ts';
import { PeerStatistics } from '../../src/wireguard/peer-statistics.ts';
import { PlainAead } from '../simulation/plain-aead.ts';
import { allow, packet, Random } from '../simulation/world.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const DATAGRAMS = Number(process.env.FUZZ_DATAGRAMS ?? 1_000_000);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is alive in this process, in bytes. */
function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** No curve at all, but both sides agree on a secret: the fuzzing is not about the curve. */
const curve: Curve = {
  x25519(out, scalar, point) {
    for (let i = 0; i < 32; i++) out[i] = scalar[i]! ^ point[i]!;
    return !isZero(out);
  },
  x25519Base(out, scalar) {
    out.set(scalar);
  },
};

const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];

class Side {
  readonly device: Device;
  readonly drops = new DropCounters();
  readonly aead = new PlainAead(2 * SLOTS_PER_PEER);
  readonly out = new OutboundVector(64, 1 << 18);
  readonly key = new Uint8Array(32);

  constructor(random: Random) {
    random.fill(this.key);
    this.device = new Device({
      aead: this.aead,
      primitives: { ...noblePrimitives, ...curve },
      random: (into) => random.fill(into),
      endpoints: new EndpointTable(2 + SCRATCH_ENDPOINTS),
      statistics: new PeerStatistics(2),
      drops: this.drops,
      maxPeers: 2,
    });
  }

  /** Datagrams that the device wants to send now. */
  drain(now: { monotonic: number; unix: number }, into: Uint8Array[]): void {
    for (let more = true; more; ) {
      this.out.clear();
      more = this.device.pollTransmit(this.out, now);
      this.aead.sealVector(this.out);
      this.collect(into);
    }
    while (this.device.pollEvent() !== undefined);
  }

  collect(into: Uint8Array[]): void {
    const { out } = this;
    for (let i = 0; i < out.length; i++) {
      if (out.slot[i] === -1) continue;
      for (let k = 0; k < out.count[i]!; k++) {
        const at = out.offset[i]! + k * out.stride[i]!;
        const size = k < out.count[i]! - 1 ? out.stride[i]! : out.lastSize[i]!;
        into.push(out.arena.slice(at, at + size));
      }
    }
  }
}

/** Of messages: a path frame that is dropped came in one that was accepted. */
function droppedInbound(drops: DropCounters): number {
  let sum = 0;
  for (const reason of DROP_REASON_NAMES) {
    if (reason.startsWith('in_') && !reason.startsWith('in_frame_')) sum += drops.get(reason);
  }
  return sum;
}

/** A datagram made from valid ones. */
function mutate(random: Random, corpus: readonly Uint8Array[], macs: CookieGenerator): Uint8Array {
  const base = corpus[random.below(corpus.length)]!;
  let bytes = base.slice();
  const kind = random.below(10);
  if (kind === 0) {
    bytes = new Uint8Array(random.below(300));
    random.fill(bytes);
  } else if (kind === 1) {
    bytes = bytes.slice(0, random.below(bytes.length + 1));
  } else if (kind === 2) {
    const longer = new Uint8Array(bytes.length + random.below(100));
    random.fill(longer);
    longer.set(bytes);
    bytes = longer;
  } else if (kind === 3) {
    const other = corpus[random.below(corpus.length)]!;
    const cut = random.below(Math.min(bytes.length, other.length) + 1);
    bytes.set(other.subarray(0, cut));
  } else if (kind === 4 && bytes.length > 0) {
    bytes[0] = random.below(6);
  } else if (kind === 5 && bytes.length > 16) {
    // Another counter, far away or near.
    bytes.fill(random.below(2) * 255, 10, 16);
    bytes[8] = random.below(256);
  } else if (kind < 9 && bytes.length > 0) {
    for (let i = 1 + random.below(3); i > 0; i--) {
      bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    }
  }
  const isHandshake = bytes.length === 148 || bytes.length === 92;
  if (isHandshake && random.below(8) === 0) {
    bytes[0] = bytes.length === 148 ? 1 : 2;
    bytes.fill(0, 1, 4);
    macs.addMacs(bytes, 0);
  }
  return bytes;
}

/** Hands datagrams over as runs, as a socket with GRO does; now and then as runs that lie. */
function fill(v: InboundVector, random: Random, datagrams: readonly Uint8Array[]): number {
  v.clear();
  let offset = 0;
  let taken = 0;
  for (const bytes of datagrams) {
    if (v.length === v.capacity || v.messages === v.messageCapacity) break;
    if (offset + bytes.length > v.arena.length) break;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const head = bytes.length < 8 ? 0 : view.getUint32(0, true);
    const receiver = bytes.length < 8 ? 0 : view.getUint32(4, true);
    const last = v.length - 1;
    v.arena.set(bytes, offset);
    const joins =
      last >= 0 &&
      bytes.length >= 8 &&
      v.head[last] === head &&
      v.receiver[last] === receiver &&
      v.lastSize[last] === v.stride[last] &&
      bytes.length <= v.stride[last]!;
    if (joins) {
      v.count[last]!++;
      v.lastSize[last] = bytes.length;
    } else {
      const i = v.length++;
      v.offset[i] = offset;
      v.stride[i] = bytes.length;
      v.count[i] = 1;
      v.lastSize[i] = bytes.length;
      v.head[i] = head;
      v.receiver[i] = receiver;
      v.source[i] = random.below(8);
      v.first[i] = v.messages;
    }
    v.messages++;
    offset += bytes.length;
    taken++;
  }
  return taken;
}

describe('the device', () => {
  it('lives through a million datagrams', () => {
    const random = new Random(SEED);
    const a = new Side(random);
    const b = new Side(random);
    const now = { monotonic: 1_000, unix: 1_700_000_000_000 };
    const address = Uint8Array.of(192, 0, 2, 1);
    for (const [side, peer, ip] of [
      [a, b, IP_B],
      [b, a, IP_A],
    ] as const) {
      const endpoint = { family: 4 as const, address, port: 7, scope: 0 };
      const peers = [
        { publicKey: peer.key, endpoint, pathFrames: true, allowedIps: allow(ip, 32) },
      ];
      side.device.configure({ privateKey: side.key, peers }, now);
      side.device.up(now);
    }
    const macs = new CookieGenerator(b.key, noblePrimitives);
    const v = new InboundVector(256, 256, 1 << 17, 8);
    for (let i = 0; i < 8; i++) {
      v.sources.words[i * 12] = 4 | ((1_000 + i) << 16);
      v.sources.words[i * 12 + 1] = 0x0100_0a0a + i;
      // A few of the sources are relays.
      v.sources.words[i * 12 + 11] = i < 6 ? 0 : i;
    }
    const back = new InboundVector(256, 256, 1 << 17, 1);
    back.sources.words[0] = 4 | (7 << 16);
    back.sources.words[1] = 0x0100_0a0b;

    /** Recent datagrams to `b`, the newest last; and what is to be delivered untouched. */
    let corpus: Uint8Array[] = [];
    const toB: Uint8Array[] = [];
    const toA: Uint8Array[] = [];
    let injected = 0;
    let data = 0;
    let keepalives = 0;
    let responses = 0;
    let accepted = 0;
    let delivered = 0;
    const before = heldBytes();

    const deliver = (side: Side, vector: InboundVector): void => {
      side.device.handleInbound(vector, now);
      side.aead.openVector(vector);
      side.device.handleOpened(vector, now);
      for (let i = 0; i < vector.length; i++) {
        if (side.device.peerOfRun(vector, i) >= 0) side.device.handleFarewell(vector, i);
      }
      side.device.handlePathFrames(vector, now);
      if (side !== b) return;
      for (let i = 0; i < vector.length; i++) {
        const peer = side.device.peerOfRun(vector, i);
        if (peer < 0) continue;
        for (let k = 0; k < vector.count[i]!; k++) {
          const plain = vector.plain[vector.first[i]! + k]!;
          if (plain < 0) continue;
          if (plain === 0) keepalives++;
          else data++;
          const at = vector.offset[i]! + k * vector.stride[i]! + MESSAGE_HEADER_SIZE;
          if (plain > 0 && side.device.refusalOf(peer, vector.arena, at) === undefined) delivered++;
        }
      }
    };

    while (injected < DATAGRAMS) {
      // The live session: data both ways, sometimes a pause in which timers go off.
      const pause = random.below(5) === 0 ? random.below(60_000) : random.below(400);
      now.monotonic += pause;
      now.unix += pause;
      for (const side of [a, b]) {
        side.device.handleTimeout(now);
        const [from, to] = side === a ? [IP_A, IP_B] : [IP_B, IP_A];
        side.out.clear();
        const bytes = packet(from, to, 1, 12 + 16 * random.below(4));
        side.out.arena.set(bytes, MESSAGE_HEADER_SIZE);
        side.out.count[0] = 1;
        side.out.stride[0] = bytes.length + MESSAGE_OVERHEAD;
        side.out.lastSize[0] = side.out.stride[0]!;
        side.out.offset[0] = 0;
        side.out.length = 1;
        side.device.handleOutbound(side.out, now);
        side.aead.sealVector(side.out);
        side.collect(side === a ? toB : toA);
        side.drain(now, side === a ? toB : toA);
      }
      corpus = [...corpus, ...toB].slice(-40);
      if (random.below(4) > 0 || corpus.length < 10) {
        fill(back, random, toA);
        for (let i = 0; i < back.length; i++) back.source[i] = 0;
        deliver(a, back);
        a.device.handleHandshakes(now, 4);
      }
      const batch = [...toB];
      toA.length = 0;
      toB.length = 0;
      while (batch.length < 200) batch.push(mutate(random, corpus, macs));
      for (let done = 0; done < batch.length; ) {
        const taken = fill(v, random, batch.slice(done));
        done += taken;
        injected += taken;
        deliver(b, v);
        if (random.below(20) === 0) b.device.enterUnderLoad(now);
        b.device.handleHandshakes(now, 200);
        const answers: Uint8Array[] = [];
        b.drain(now, answers);
        for (const answer of answers) if (answer[0] === 2) responses++;
        toA.push(...answers);
      }
      while (b.device.handleHandshakes(now, 200) > 0);
      accepted = data + keepalives + responses;
    }
    const grown = heldBytes() - before;

    // Each datagram was either accepted or counted under one reason. What is accepted beyond data,
    // keepalives and initiations answered are responses and cookie replies, of which `b` asked few.
    const others = injected - accepted - droppedInbound(b.drops);
    expect(others).toBeGreaterThanOrEqual(0);
    expect(others).toBeLessThan(injected / 1_000);
    expect(b.aead.used).toBeLessThanOrEqual(SLOTS_PER_PEER);
    expect(delivered).toBeGreaterThan(1_000);
    expect(responses).toBeGreaterThan(100);
    for (const reason of [
      'in_too_short',
      'in_unknown_type',
      'in_reserved_bytes',
      'in_bad_length',
      'in_mac1',
      'in_mac2',
      'in_handshake_auth',
      'in_handshake_replay',
      'in_cookie',
      'in_unknown_index',
      'in_auth',
      'in_replay',
    ] as const) {
      expect(b.drops.get(reason), reason).toBeGreaterThan(0);
    }
    expect(grown).toBeLessThan(100 << 20);
  }, 120_000);

  it('counts each of 200,000 packets to be sent once, whatever they look like', () => {
    const random = new Random(SEED + 1);
    const side = new Side(random);
    const other = new Side(random);
    const now = { monotonic: 1_000, unix: 1_700_000_000_000 };
    const endpoint = { family: 4 as const, address: Uint8Array.of(1, 2, 3, 4), port: 7, scope: 0 };
    const peers = [
      { publicKey: other.key, endpoint, pathFrames: true, allowedIps: allow(IP_B, 8) },
    ];
    side.device.configure({ privateKey: side.key, peers }, now);
    side.device.configure({ peers: [{ publicKey: side.key.map((byte) => byte ^ 1) }] }, now);
    side.device.up(now);
    const { out, drops } = side;
    let total = 0;
    let sealed = 0;
    for (let round = 0; round < 5_000; round++) {
      now.monotonic += random.below(100);
      out.clear();
      while (out.length < 40) {
        const i = out.length++;
        const length = random.below(200);
        out.offset[i] = out.used;
        out.stride[i] = length + MESSAGE_OVERHEAD;
        out.count[i] = 1 + random.below(3);
        out.lastSize[i] =
          MESSAGE_OVERHEAD + (random.below(2) === 0 ? length : random.below(length + 1));
        if (out.count[i] === 1) out.stride[i] = out.lastSize[i]!;
        const size = out.count[i]! * out.stride[i]!;
        random.fill(out.arena.subarray(out.used, out.used + size));
        for (let k = 0; k < out.count[i]!; k++) {
          // Half of them are packets to our peer.
          if (random.below(2) === 0 || length < 20) continue;
          const at = out.used + k * out.stride[i]! + MESSAGE_HEADER_SIZE;
          out.arena.set(packet(IP_A, IP_B, k, Math.max(length - 20, 4)), at);
        }
        out.used += size;
        total += out.count[i]!;
      }
      side.device.handleOutbound(out, now);
      for (let i = 0; i < out.length; i++) if (out.slot[i]! >= 0) sealed += out.count[i]!;
      side.device.handleTimeout(now);
      side.drain(now, []);
    }
    side.device.configure({ peers: [], replacePeers: true }, now);
    let dropped = 0;
    for (const reason of DROP_REASON_NAMES) {
      if (reason.startsWith('out_')) dropped += drops.get(reason);
    }
    expect(sealed).toBe(0);
    expect(dropped).toBe(total);
    for (const reason of [
      'out_malformed',
      'out_options',
      'out_no_route',
      'out_staged_full',
      'out_staged_expired',
    ] as const) {
      expect(drops.get(reason), reason).toBeGreaterThan(0);
    }
  }, 60_000);
});
