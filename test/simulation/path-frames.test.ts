/** PING and PONG between devices on a virtual clock: who is asked, who answers, and what they move. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodePathFrame, PATH_PING, PATH_PONG } from '../../src/wireguard/path-frames.ts';
import { createPeerFigures } from '../../src/wireguard/peer-statistics.ts';
import { allow, endpointOf, type Node, packet, recordOf, World } from './world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const ELSEWHERE = { ip: [203, 0, 113, 9], port: 4_500 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];

let world: World;
let a: Node;
let b: Node;

function connect(framesAtA: boolean, framesAtB: boolean): void {
  world = new World(7);
  a = world.node({ address: A });
  b = world.node({ address: B });
  a.configurePeers({
    publicKey: b.publicKey,
    endpoint: endpointOf(B)!,
    pathFrames: framesAtA,
    allowedIps: allow(IP_B, 32),
  });
  b.configurePeers({
    publicKey: a.publicKey,
    pathFrames: framesAtB,
    allowedIps: allow(IP_A, 32),
  });
  a.up();
  b.up();
}

function roundTrip(node: Node): number {
  const figures = createPeerFigures();
  node.statistics.read(0, figures);
  return figures.roundTrip;
}

/** A frame as its sender's data plane would seal it. */
function frame(node: Node, type: number, size = 16, id = 1): Uint8Array {
  const { out } = node;
  out.clear();
  // An IP packet to be sealed, whose plaintext is then another one: the device sends no such frame.
  const bytes = packet(node === a ? IP_A : IP_B, node === a ? IP_B : IP_A, 1, size - 20);
  const made: Uint8Array[] = [];
  const tap = world.tap;
  world.tap = (datagram) => {
    made.push(datagram.bytes);
    return false;
  };
  const seal = node.aead.sealVector.bind(node.aead);
  node.aead.sealVector = (v) => {
    if (v.length > 0 && v.slot[0]! >= 0)
      encodePathFrame(v.arena, v.offset[0]! + 16, size, type, id, id);
    seal(v);
  };
  node.send(bytes);
  node.aead.sealVector = seal;
  world.tap = tap;
  return made[0]!;
}

describe('path frames', () => {
  beforeEach(() => connect(true, true));

  it('measure the round trip when the session is made, at both ends', () => {
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    // 5 ms each way.
    expect(roundTrip(a)).toBeCloseTo(10, 5);
    expect(roundTrip(b)).toBeCloseTo(10, 5);
    expect(b.received.length).toBe(1);
    expect([...a.drops.entries(), ...b.drops.entries()]).toEqual([]);
  });

  it('follow the path while there is traffic, and cost an idle path nothing', () => {
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    world.link.delayMin = 20;
    world.link.delayMax = 20;
    for (let i = 0; i < 240; i++) {
      a.send(packet(IP_A, IP_B, i));
      world.run(500);
    }
    expect(roundTrip(a)).toBeGreaterThan(35);
    const pings = a.sent.filter(({ size }) => size === 48).length;
    expect(pings).toBeGreaterThan(20);
    expect(pings).toBeLessThan(30);
    world.run(60_000);
    const before = a.sent.length + b.sent.length;
    world.run(60_000);
    expect(a.sent.length + b.sent.length).toBe(before);
  });

  it('go to no stock peer, and are dropped when one sends them', () => {
    connect(false, false);
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    expect(a.sent.filter(({ size }) => size === 48)).toEqual([]);
    b.receive(recordOf(A), frame(a, PATH_PING, 32));
    world.run(1_000);
    expect(b.drops.entries()).toEqual([['in_frame_stranger', 1]]);
    expect(b.sent.filter(({ size }) => size === 48)).toEqual([]);
  });

  it('are ignored by a stock peer, which still gets its packets', () => {
    connect(true, false);
    for (let i = 0; i < 3; i++) {
      a.send(packet(IP_A, IP_B, i));
      world.run(6_000);
    }
    expect(b.received.length).toBe(3);
    expect(roundTrip(a)).toBe(0);
    expect(b.drops.get('in_frame_stranger')).toBeGreaterThan(0);
    expect(b.drops.get('in_inner_malformed')).toBe(0);
  });

  it('are answered where they came from, and move no endpoint', () => {
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    const before = b.endpoints.words.slice(0, 12);
    const answers: Int32Array[] = [];
    world.tap = ({ to, bytes }) => {
      if (bytes.length === 48) answers.push(to);
      return true;
    };
    b.receive(recordOf(ELSEWHERE), frame(a, PATH_PING, 1_200));
    expect(answers.length).toBe(1);
    expect(answers[0]![1]).toBe(recordOf(ELSEWHERE)[1]);
    expect(answers[0]![0]).toBe(recordOf(ELSEWHERE)[0]);
    expect(b.endpoints.words.slice(0, 12)).toEqual(before);
    // Data from there does.
    const data: Uint8Array[] = [];
    world.tap = ({ bytes }) => {
      data.push(bytes);
      return false;
    };
    a.send(packet(IP_A, IP_B, 2));
    b.receive(recordOf(ELSEWHERE), data[0]!);
    expect(b.endpoints.words[1]).toBe(recordOf(ELSEWHERE)[1]);
  });

  it('move no endpoint either behind a message that is refused', () => {
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    const before = b.endpoints.words.slice(0, 12);
    // Whoever holds a frame up can send it on from elsewhere, in one run with anything of its size.
    const [junk, replayed, ping] = [1, 2, 3].map((id) => frame(a, PATH_PING, 48, id));
    junk!.fill(0x45, 16);
    b.receive(recordOf(A), replayed!.slice());
    b.receive(recordOf(ELSEWHERE), junk!, ping!);
    expect(b.drops.entries()).toEqual([['in_auth', 1]]);
    expect(b.endpoints.words.slice(0, 12)).toEqual(before);
    b.receive(recordOf(ELSEWHERE), replayed!, frame(a, PATH_PING, 48, 4), junk!);
    expect(b.drops.get('in_replay')).toBe(1);
    expect(b.endpoints.words.slice(0, 12)).toEqual(before);
  });

  it('are found inside a run of packets', () => {
    a.send(packet(IP_A, IP_B, 1, 12));
    world.run(100);
    b.received.length = 0;
    const parts: Uint8Array[] = [];
    for (const make of [
      () => a.send(packet(IP_A, IP_B, 5, 12)),
      () => parts.push(frame(a, PATH_PING, 32)),
      () => a.send(packet(IP_A, IP_B, 6, 12)),
    ]) {
      world.tap = ({ bytes }) => {
        parts.push(bytes);
        return false;
      };
      make();
    }
    let answers = 0;
    world.tap = ({ bytes }) => {
      if (bytes.length === 48) answers++;
      return true;
    };
    expect(parts.map((part) => part.length)).toEqual([64, 64, 64]);
    b.receive(recordOf(A), ...parts);
    expect(b.received.map(({ packet: bytes }) => bytes[23])).toEqual([5, 6]);
    expect(answers).toBe(1);
    expect(b.drops.entries()).toEqual([]);
  });

  it('are dropped under their own reasons', () => {
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    b.receive(recordOf(A), frame(a, 3, 32));
    expect(b.drops.entries()).toEqual([['in_frame_malformed', 1]]);
    b.receive(recordOf(A), frame(a, PATH_PONG, 32, 99));
    expect(b.drops.get('in_frame_unexpected')).toBe(1);
    for (let i = 0; i < 100; i++) b.receive(recordOf(A), frame(a, PATH_PING, 32));
    expect(b.drops.get('in_frame_limited')).toBeGreaterThan(30);
    expect(b.sent.filter(({ size }) => size === 48).length).toBeLessThan(70);
  });

  it('never answer with more than they ask', () => {
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    for (const size of [32, 48, 1_200]) {
      b.sent.length = 0;
      const ping = frame(a, PATH_PING, size);
      b.receive(recordOf(A), ping);
      expect(b.sent.map((message) => message.size)).toEqual([48]);
      expect(ping.length).toBeGreaterThanOrEqual(48);
    }
  });
});
