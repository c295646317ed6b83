/** Paths of some MTU between devices on a virtual clock: what is found, and what becomes of packets. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { MESSAGE_OVERHEAD } from '../../src/vector.ts';
import { createPeerFigures } from '../../src/wireguard/peer-statistics.ts';
import { allow, endpointOf, type Node, packet, recordOf, World } from './world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];
const DONT_FRAGMENT = 0x40;

let world: World;
let a: Node;
let b: Node;
/** Bytes of inner packet that the way from a to b carries. */
let carries: number;

function connect(seed = 3): void {
  world = new World(seed);
  a = world.node({ address: A });
  b = world.node({ address: B });
  for (const node of [a, b]) node.device.mtu = 1_420;
  carries = 1_420;
  const toB = recordOf(B)[1];
  world.tap = ({ to, bytes }) => to[1] !== toB || bytes.length - MESSAGE_OVERHEAD <= carries;
  a.configurePeers({
    publicKey: b.publicKey,
    endpoint: endpointOf(B)!,
    pathFrames: true,
    allowedIps: allow(IP_B, 32),
  });
  b.configurePeers({ publicKey: a.publicKey, pathFrames: true, allowedIps: allow(IP_A, 32) });
  a.up();
  b.up();
}

function mtuOf(node: Node): number {
  const figures = createPeerFigures();
  node.statistics.read(0, figures);
  return figures.pathMtu;
}

/** An IP packet of `size` bytes in all. */
function sized(id: number, size: number, dontFragment = false): Uint8Array {
  const bytes = packet(IP_A, IP_B, id, size - 20);
  if (dontFragment) bytes[6] = DONT_FRAGMENT;
  return bytes;
}

function answers(node: Node): Uint8Array[] {
  const found: Uint8Array[] = [];
  const out = new Uint8Array(1_280);
  for (let size = node.device.pollAnswer(out); size > 0; size = node.device.pollAnswer(out)) {
    found.push(out.slice(0, size));
  }
  return found;
}

beforeEach(() => connect());

describe('path MTU', () => {
  it('is known one round trip after the session, and a wide path costs no large packet', () => {
    a.send(sized(1, 1_420, true));
    world.run(100);
    expect(mtuOf(a)).toBe(1_420);
    expect(mtuOf(b)).toBe(1_420);
    expect(b.received.map((r) => r.packet.length)).toEqual([1_420]);
    expect(a.events.filter(({ type }) => type === 'path-mtu').map(({ detail }) => detail)).toEqual([
      1_420,
    ]);
  });

  it('of a narrow path is found, and no first packet is lost for it', () => {
    carries = 1_300;
    a.send(sized(1, 1_420));
    a.send(sized(2, 1_000));
    world.run(100);
    // The large one waited for the first answer, and was cut; order is kept.
    const got = b.received.map((r) => r.packet);
    expect(got.length).toBe(3);
    expect(got[0]!.length + got[1]!.length - 40).toBe(1_400);
    expect(got[2]!.length).toBe(1_000);
    world.run(5_000);
    expect(mtuOf(a)).toBe(1_296);
    expect(mtuOf(b)).toBe(1_420);
  });

  it('has senders told that must be, in measure', () => {
    carries = 1_300;
    a.send(sized(1, 100));
    world.run(5_000);
    a.send(sized(2, 1_296, true), sized(3, 1_296, true));
    a.send(sized(4, 1_400, true), sized(5, 1_400, true), sized(6, 400, true));
    world.run(50);
    expect(b.received.map((r) => r.packet.length)).toEqual([100, 1_296, 1_296, 400]);
    expect(a.drops.get('out_packet_too_big')).toBe(2);
    const told = answers(a);
    expect(told.map((bytes) => [bytes[20], bytes[21], bytes[26]! * 256 + bytes[27]!])).toEqual([
      [3, 4, 1_296],
      [3, 4, 1_296],
    ]);
    for (let i = 0; i < 300; i++) a.send(sized(i, 1_400, true));
    expect(answers(a).length).toBeLessThanOrEqual(16);
  });

  it('is no reason to keep packets for long, where nobody answers probes', () => {
    b.configurePeers({ publicKey: a.publicKey, pathFrames: false });
    a.send(sized(1, 1_280, true), sized(2, 1_280, true));
    a.send(sized(3, 1_400));
    world.run(1_500);
    const got = b.received.map((r) => r.packet.length);
    expect(got.slice(0, 2)).toEqual([1_280, 1_280]);
    expect(got.slice(2).reduce((sum, length) => sum + length - 20, 0)).toBe(1_380);
    expect(mtuOf(a)).toBe(0);
  });

  it('that falls under traffic is seen within a few seconds, and its rise too', () => {
    const traffic = (seconds: number): void => {
      for (let i = 0; i < seconds * 20; i++) {
        a.send(sized(i, 1_400));
        world.run(50);
      }
    };
    traffic(3);
    expect(mtuOf(a)).toBe(1_420);
    carries = 1_250;
    traffic(3);
    expect(mtuOf(a)).toBe(1_248);
    b.received.length = 0;
    traffic(1);
    // Each in two fragments.
    expect(b.received.length).toBeGreaterThanOrEqual(39);
    carries = 1_420;
    traffic(12);
    expect(mtuOf(a)).toBe(1_420);
  });

  it('is kept while the peer is away', () => {
    a.send(sized(1, 1_400));
    world.run(1_000);
    const tap = world.tap;
    world.tap = () => false;
    for (let i = 0; i < 200; i++) {
      a.send(sized(i, 1_400));
      world.run(100);
    }
    expect(mtuOf(a)).toBe(-1_420);
    world.tap = tap;
    for (let i = 0; i < 100; i++) {
      a.send(sized(i, 1_400));
      world.run(100);
    }
    expect(mtuOf(a)).toBe(1_420);
  });

  it('is looked for anew when the peer moves', () => {
    carries = 1_300;
    a.send(sized(1, 1_400));
    world.run(5_000);
    expect(mtuOf(a)).toBe(1_296);
    carries = 1_420;
    b.address = { ip: [198, 51, 100, 7], port: 4_000 };
    b.send(packet(IP_B, IP_A, 1));
    world.run(100);
    expect(mtuOf(a)).toBe(1_420);
  });

  it('follows the MTU of the interface', () => {
    a.send(sized(1, 100));
    world.run(100);
    carries = 8_000;
    a.device.mtu = 8_920;
    a.send(sized(1, 100));
    world.run(10_000);
    expect(mtuOf(a)).toBe(8_000);
    a.device.mtu = 1_280;
    a.send(sized(1, 100));
    world.run(100);
    expect(mtuOf(a)).toBe(1_280);
  });

  it('has the first SYN wait for it, and clamps what a narrow path does not carry', () => {
    const syn = packet(IP_A, IP_B, 1, 24);
    syn[9] = 6;
    syn[20 + 12] = 0x60;
    syn[20 + 13] = 2;
    syn.set([2, 4, 5, 0xb4], 40);
    const announced = (): number => {
      const { packet: bytes } = b.received.at(-1)!;
      return bytes[42]! * 256 + bytes[43]!;
    };
    a.send(syn);
    world.run(100);
    expect(announced()).toBe(1_460);
    connect();
    carries = 1_220;
    a.send(syn);
    world.run(1_000);
    expect(b.received.length).toBe(1);
    expect(announced()).toBe(1_160);
    world.run(5_000);
    a.send(syn);
    world.run(100);
    expect(announced()).toBe(1_176);
  });

  it('on a path of any MTU, with loss: nothing too long is sent for long', {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 600, max: 1_500 }),
        fc.integer({ min: 600, max: 1_500 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        (first, second, loss, seed) => {
          connect(seed);
          for (const mtu of [first, second]) {
            carries = mtu;
            world.link.loss = loss / 100;
            for (let i = 0; i < 200; i++) {
              a.send(sized(i, 1_400));
              world.run(50);
            }
            world.link.loss = 0;
            // Time for what loss has spoilt to be looked at again.
            for (let i = 0; i < 80; i++) {
              a.send(sized(i, 1_400));
              world.run(10_000);
            }
            expect(mtuOf(a)).toBe(mtu >= 1_420 ? 1_420 : Math.floor(mtu / 16) * 16);
            b.received.length = 0;
            for (let i = 0; i < 10; i++) {
              a.send(sized(i, 1_400));
              world.run(100);
            }
            const payload = b.received.reduce((sum, r) => sum + r.packet.length - 20, 0);
            expect(payload).toBe(10 * 1_380);
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});
