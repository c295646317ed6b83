/**
 * A world of WireGuard devices on a virtual clock: datagrams travel with a delay and may be lost,
 * doubled, overtaken, or sent through a NAT that changes its mind. All chance comes from one seed.
 */
import { DropCounters } from '../../src/drops.ts';
import { clamp, keyToHex } from '../../src/keys.ts';
import type { Primitives } from '../../src/primitives.ts';
import type { Instant } from '../../src/time.ts';
import {
  ENDPOINT_RECORD_WORDS,
  EndpointTable,
  InboundVector,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  OutboundVector,
  SLOT_COMPLETE,
  type VectorAead,
} from '../../src/vector.ts';
import type { PeerChange } from '../../src/wireguard/configuration.ts';
import {
  Device,
  type DeviceEvent,
  SCRATCH_ENDPOINTS,
  SLOTS_PER_PEER,
} from '../../src/wireguard/device.ts';
import { noblePrimitives } from '../../src/wireguard/noble-primitives.ts';
import { paddedLength } from '../../src/wireguard/outbound-messages.ts';
import { PeerStatistics } from '../../src/wireguard/peer-statistics.ts';
import { fastCurve } from './fast-curve.ts';
import { PlainAead } from './plain-aead.ts';

/** A seeded generator of 32-bit words (xorshift128+ folded to 32 bits is more than enough here). */
export class Random {
  #a: number;
  #b = 0x9e3779b9;

  constructor(seed: number) {
    this.#a = seed | 0 || 1;
    for (let i = 0; i < 8; i++) this.word();
  }

  word(): number {
    let t = this.#a;
    const s = this.#b;
    this.#a = s;
    t ^= t << 13;
    t ^= t >>> 17;
    t ^= s ^ (s << 5);
    this.#b = t | 0;
    return (this.#a + Math.imul(this.#b, 0x85ebca6b)) >>> 0;
  }

  /** In [0, 1). */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  fill(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.word() >>> 24;
  }
}

export interface Link {
  /** Chance that a datagram is lost, doubled. */
  loss: number;
  duplication: number;
  /** Milliseconds; different delays let datagrams overtake each other. */
  delayMin: number;
  delayMax: number;
}

export interface Datagram {
  /** Endpoint records. */
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly bytes: Uint8Array;
}

/** An IPv4 address as four numbers and a port. */
export interface Address {
  readonly ip: readonly [number, number, number, number];
  readonly port: number;
}

export function recordOf(address: Address, relayId = 0): Int32Array {
  const record = new Int32Array(ENDPOINT_RECORD_WORDS);
  record[0] = 4 | (address.port << 16);
  new Uint8Array(record.buffer).set(address.ip, 4);
  record[11] = relayId;
  return record;
}

function placeOf(record: Int32Array): string {
  return `${record[1]}:${record[0]! >>> 16}`;
}

export interface NodeOptions {
  readonly address: Address;
  readonly maxPeers?: number;
  readonly aead?: VectorAead;
  /** Default noble's, with a faster curve. */
  readonly primitives?: Primitives;
  readonly seed?: number;
}

export const fastPrimitives: Primitives = { ...noblePrimitives, ...fastCurve };

/** One device with its vectors, sending to and receiving from a world. */
export class Node {
  readonly world: World;
  readonly device: Device;
  readonly endpoints: EndpointTable;
  readonly statistics: PeerStatistics;
  readonly drops = new DropCounters();
  readonly aead: VectorAead;
  readonly privateKey = new Uint8Array(32);
  readonly publicKey = new Uint8Array(32);
  readonly out = new OutboundVector(64, 256 * 1024);
  readonly in = new InboundVector(64, 512, 256 * 1024, 64, 64);
  readonly events: DeviceEvent[] = [];
  /** Packets received, without padding, with the peer they came from. */
  readonly received: { peer: number; packet: Uint8Array; at: number }[] = [];
  /** Messages sent by type, and when. */
  readonly sent: { type: number; size: number; at: number }[] = [];
  address: Address;
  handshakeBudget = 64;
  /** Keeps what the device wants to send inside it. */
  holding = false;
  #random: Random;

  constructor(world: World, options: NodeOptions) {
    const maxPeers = options.maxPeers ?? 4;
    this.world = world;
    this.address = options.address;
    this.endpoints = new EndpointTable(maxPeers + SCRATCH_ENDPOINTS);
    this.statistics = new PeerStatistics(maxPeers);
    this.aead = options.aead ?? new PlainAead(maxPeers * SLOTS_PER_PEER);
    this.#random = new Random(options.seed ?? world.random.word());
    this.#random.fill(this.privateKey);
    clamp(this.privateKey);
    fastCurve.x25519Base(this.publicKey, this.privateKey);
    this.device = new Device({
      aead: this.aead,
      primitives: options.primitives ?? fastPrimitives,
      random: (into) => this.#random.fill(into),
      endpoints: this.endpoints,
      statistics: this.statistics,
      drops: this.drops,
      maxPeers,
    });
    this.device.configure({ privateKey: this.privateKey, peers: [] }, world.now);
  }

  get publicKeyHex(): string {
    return keyToHex(this.publicKey);
  }

  configurePeers(...peers: PeerChange[]): void {
    this.device.configure({ peers }, this.world.now);
    this.flush();
  }

  up(): void {
    this.device.up(this.world.now);
    this.flush();
  }

  down(): void {
    this.device.down(this.world.now);
    this.flush();
  }

  /** Sends an IP packet, or several of one size as one run. */
  send(...packets: Uint8Array[]): void {
    const { out } = this;
    out.clear();
    let offset = 0;
    const sizes = packets.map((p) => paddedLength(p.length, this.device.mtu) + MESSAGE_OVERHEAD);
    for (let k = 0; k < packets.length; k++) {
      out.arena.fill(0, offset, offset + sizes[k]!);
      out.arena.set(packets[k]!, offset + MESSAGE_HEADER_SIZE);
      offset += sizes[0]!;
    }
    out.offset[0] = 0;
    out.stride[0] = sizes[0]!;
    out.count[0] = packets.length;
    out.lastSize[0] = sizes.at(-1)!;
    out.length = 1;
    out.used = offset;
    this.device.handleOutbound(out, this.world.now);
    this.aead.sealVector(out);
    this.#transmit();
    this.flush();
  }

  /** Datagrams of one source, as the socket hands them over: consecutive ones of a kind are a run. */
  receive(from: Int32Array, ...datagrams: Uint8Array[]): void {
    const v = this.in;
    v.clear();
    v.sources.words.set(from, 0);
    let offset = 0;
    for (const bytes of datagrams) {
      const head =
        bytes.length < 8 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      const receiver =
        bytes.length < 8 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
      const last = v.length - 1;
      v.arena.set(bytes, offset);
      if (
        last >= 0 &&
        bytes.length >= 8 &&
        v.head[last] === head &&
        v.receiver[last] === receiver &&
        v.lastSize[last] === v.stride[last] &&
        bytes.length <= v.stride[last]!
      ) {
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
        v.source[i] = 0;
        v.first[i] = v.messages;
      }
      v.messages++;
      offset += bytes.length;
    }
    this.handleVector(v);
  }

  /** What is done with path frames of an opened vector. */
  handleFrames(v: InboundVector): void {
    this.device.handlePathFrames(v, this.world.now);
  }

  handleVector(v: InboundVector): void {
    const { device, world } = this;
    device.handleInbound(v, world.now);
    this.aead.openVector(v);
    device.handleOpened(v, world.now);
    this.handleFrames(v);
    for (let i = 0; i < v.length; i++) {
      const peer = device.peerOfRun(v, i);
      if (peer < 0) continue;
      for (let k = 0; k < v.count[i]!; k++) {
        const plain = v.plain[v.first[i]! + k]!;
        if (plain <= 0) continue;
        const at = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
        const refusal = device.refusalOf(peer, v.arena, at);
        if (refusal !== undefined) {
          this.drops.add(refusal);
          continue;
        }
        const length = (v.arena[at + 2]! << 8) | v.arena[at + 3]!;
        this.received.push({
          peer,
          packet: v.arena.slice(at, at + Math.min(length, plain)),
          at: world.now.monotonic,
        });
      }
    }
    device.handleHandshakes(world.now, this.handshakeBudget);
    this.flush();
  }

  /** Sends whatever the device wants sent. */
  flush(): void {
    for (let more = !this.holding; more; ) {
      this.out.clear();
      more = this.device.pollTransmit(this.out, this.world.now);
      this.aead.sealVector(this.out);
      this.#transmit();
    }
    for (let event = this.device.pollEvent(); event; event = this.device.pollEvent()) {
      this.events.push(event);
    }
  }

  #transmit(): void {
    const { out } = this;
    for (let i = 0; i < out.length; i++) {
      if (out.slot[i]! < 0 && out.slot[i] !== SLOT_COMPLETE) continue;
      const at = out.endpoint[i]! * ENDPOINT_RECORD_WORDS;
      const to = this.endpoints.words.slice(at, at + ENDPOINT_RECORD_WORDS);
      for (let k = 0; k < out.count[i]!; k++) {
        const offset = out.offset[i]! + k * out.stride[i]!;
        const size = k < out.count[i]! - 1 ? out.stride[i]! : out.lastSize[i]!;
        const bytes = out.arena.slice(offset, offset + size);
        this.sent.push({ type: bytes[0]!, size, at: this.world.now.monotonic });
        this.world.post({ from: recordOf(this.address), to, bytes });
      }
    }
  }
}

interface Flight {
  readonly at: number;
  readonly order: number;
  readonly datagram: Datagram;
}

export class World {
  readonly random: Random;
  readonly nodes: Node[] = [];
  readonly link: Link = { loss: 0, duplication: 0, delayMin: 5, delayMax: 5 };
  /** Sees each datagram before it travels; false loses it. */
  tap: (datagram: Datagram) => boolean = () => true;
  #monotonic = 1_000;
  /** What the wall clock shows beyond the monotonic one. */
  unixOffset = 1_700_000_000_000;
  #flights: Flight[] = [];
  #order = 0;

  constructor(seed = 1) {
    this.random = new Random(seed);
  }

  get now(): Instant {
    return { monotonic: this.#monotonic, unix: this.unixOffset + this.#monotonic };
  }

  node(options: NodeOptions): Node {
    const node = new Node(this, options);
    this.nodes.push(node);
    return node;
  }

  post(datagram: Datagram): void {
    if (!this.tap(datagram)) return;
    this.inject(datagram);
  }

  /** Puts a datagram on its way, by the link's chances. */
  inject(datagram: Datagram): void {
    const { link, random } = this;
    if (random.fraction() < link.loss) return;
    const copies = random.fraction() < link.duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = link.delayMin + random.fraction() * (link.delayMax - link.delayMin);
      this.#flights.push({ at: this.#monotonic + delay, order: this.#order++, datagram });
    }
  }

  /** Runs everything that is due within the next `duration` milliseconds. */
  run(duration: number): void {
    const end = this.#monotonic + duration;
    for (let steps = 0; ; steps++) {
      if (steps > 1_000_000) throw new Error('the world does not come to rest');
      let next = end;
      let flight: Flight | undefined;
      for (const candidate of this.#flights) {
        if (candidate.at < next || (candidate.at === next && flight === undefined)) {
          next = candidate.at;
          flight = candidate;
        }
      }
      let timer: Node | undefined;
      for (const node of this.nodes) {
        const at = node.device.pollTimeout();
        if (at < next) {
          next = at;
          timer = node;
        }
      }
      this.#monotonic = Math.max(this.#monotonic, Math.min(next, end));
      if (timer !== undefined) {
        timer.device.handleTimeout(this.now);
        timer.flush();
      } else if (flight !== undefined) {
        this.#flights.splice(this.#flights.indexOf(flight), 1);
        this.#deliver(flight.datagram);
      } else {
        return;
      }
    }
  }

  #deliver(datagram: Datagram): void {
    const node = this.nodes.find((n) => placeOf(recordOf(n.address)) === placeOf(datagram.to));
    const from = datagram.from.slice();
    // The local address it came to, as packet info tells it.
    from[6] = datagram.to[1]!;
    node?.receive(from, datagram.bytes);
  }
}

/** An IPv4 packet with a payload of `size` bytes that begins with `id`. */
export function packet(
  from: readonly number[],
  to: readonly number[],
  id: number,
  size = 32,
): Uint8Array {
  const bytes = new Uint8Array(20 + size);
  bytes[0] = 0x45;
  bytes[2] = bytes.length >> 8;
  bytes[3] = bytes.length;
  bytes[8] = 64;
  bytes[9] = 17;
  bytes.set(from, 12);
  bytes.set(to, 16);
  new DataView(bytes.buffer).setUint32(20, id);
  return bytes;
}

export function idOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(20);
}

/** One packed allowed-IP record that adds an IPv4 prefix. */
export function allow(ip: readonly number[], length: number, remove = false): Uint8Array {
  const record = new Uint8Array(20);
  record.set([remove ? 1 : 0, 4, length, 0, ...ip]);
  return record;
}

export function endpointOf(address: Address): PeerChange['endpoint'] {
  return { family: 4, address: Uint8Array.from(address.ip), port: address.port, scope: 0 };
}
