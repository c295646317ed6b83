/** Two devices and a perfect network: the whole life of a session on a virtual clock. */
import { describe, expect, it } from 'vitest';
import { isZero } from '../../src/bytes.ts';
import { ENDPOINT_RECORD_WORDS } from '../../src/vector.ts';
import { createPeerFigures } from '../../src/wireguard/peer-statistics.ts';
import type { PlainAead } from './plain-aead.ts';
import {
  allow,
  type Datagram,
  endpointOf,
  idOf,
  type Node,
  type NodeOptions,
  packet,
  World,
} from './world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];
const SECOND = 1_000;

function pair(options: Partial<NodeOptions> = {}) {
  const world = new World(1);
  const a = world.node({ ...options, address: A });
  const b = world.node({ ...options, address: B });
  const endpoint = endpointOf(B)!;
  a.configurePeers({ publicKey: b.publicKey, endpoint, allowedIps: allow(IP_B, 32) });
  b.configurePeers({ publicKey: a.publicKey, allowedIps: allow(IP_A, 32) });
  a.up();
  b.up();
  return { world, a, b };
}

/** A pair with a session that `a` initiated, confirmed on both sides. */
function established() {
  const all = pair();
  all.a.send(packet(IP_A, IP_B, 0));
  all.world.run(100);
  all.b.send(packet(IP_B, IP_A, 0));
  all.world.run(100);
  all.a.received.length = 0;
  all.b.received.length = 0;
  all.a.sent.length = 0;
  all.b.sent.length = 0;
  return all;
}

const ids = (node: Node) => node.received.map((r) => idOf(r.packet));
const types = (node: Node) => node.sent.map((s) => s.type);
const slots = (node: Node) => (node.aead as PlainAead).used;
const countSent = (node: Node, type: number) => types(node).filter((t) => t === type).length;

describe('a session', () => {
  it('delivers a packet that had to wait for the handshake, and the answer', () => {
    const { world, a, b } = pair();
    a.send(packet(IP_A, IP_B, 7));
    expect(types(a)).toEqual([1]);
    world.run(100);
    // Initiation, response, the packet that waited: nothing else is needed.
    expect(types(a)).toEqual([1, 4]);
    expect(types(b)).toEqual([2]);
    expect(ids(b)).toEqual([7]);
    b.send(packet(IP_B, IP_A, 8));
    world.run(100);
    expect(ids(a)).toEqual([8]);
    expect(types(b)).toEqual([2, 4]);
    expect(a.drops.entries()).toEqual([]);
    expect(b.drops.entries()).toEqual([]);
  });

  it('confirms with a keepalive when nothing waits', () => {
    const { world, a, b } = pair();
    a.configurePeers({ publicKey: b.publicKey, persistentKeepalive: 25 });
    world.run(100);
    expect(a.sent.map((s) => s.size)).toEqual([148, 32]);
    expect(b.events.map((e) => e.type)).toContain('session-established');
  });

  it('carries runs of messages, in order, with consecutive counters', () => {
    const { world, a, b } = established();
    const run = Array.from({ length: 45 }, (_, i) => packet(IP_A, IP_B, i, i === 44 ? 16 : 1_000));
    a.send(...run);
    world.run(100);
    expect(ids(b)).toEqual(run.map((_, i) => i));
    expect(b.received[44]!.packet).toEqual(run[44]);
  });

  it('counts bytes of whole datagrams, and the handshake, on both sides alike', () => {
    const { world, a, b } = pair();
    a.send(packet(IP_A, IP_B, 1, 100));
    world.run(100);
    const figures = createPeerFigures();
    a.statistics.read(0, figures);
    const sent = a.sent.reduce((sum, s) => sum + s.size, 0);
    expect(figures.txBytes).toBe(sent);
    expect(figures.rxBytes).toBe(92);
    expect(figures.lastHandshake).toBeGreaterThan(1_700_000_000_000);
    b.statistics.read(0, figures);
    expect(figures.rxBytes).toBe(sent);
    expect(figures.txBytes).toBe(92);
    expect(figures.endpoint[1]).toBe(new Int32Array(Uint8Array.from(A.ip).buffer)[0]);
    expect(figures.lastHandshake).toBeGreaterThan(1_700_000_000_000);
  });

  it('uses a preshared key, and fails if only one side has it', () => {
    const { world, a, b } = pair();
    const presharedKey = new Uint8Array(32).fill(9);
    a.configurePeers({ publicKey: b.publicKey, presharedKey });
    a.send(packet(IP_A, IP_B, 1));
    world.run(SECOND);
    expect(ids(b)).toEqual([]);
    expect(a.drops.get('in_handshake_auth')).toBe(1);
    b.configurePeers({ publicKey: a.publicKey, presharedKey });
    world.run(6 * SECOND);
    expect(ids(b)).toEqual([1]);
  });
});

describe('the timers', () => {
  it('answer data with a keepalive after 10 s when there is nothing to say', () => {
    const { world, a, b } = established();
    const start = world.now.monotonic;
    a.send(packet(IP_A, IP_B, 1));
    world.run(60 * SECOND);
    expect(b.sent.map((s) => [s.size, Math.round(s.at - start - 5)])).toEqual([[32, 10_000]]);
    // The keepalive was an answer: no new handshake.
    expect(countSent(a, 1)).toBe(0);
  });

  it('send no keepalive in answer to a keepalive', () => {
    const { world, a, b } = established();
    a.send(packet(IP_A, IP_B, 1));
    world.run(12 * SECOND);
    expect(countSent(b, 4)).toBe(1);
    world.run(40 * SECOND);
    expect(countSent(a, 4)).toBe(1);
    expect(countSent(b, 4)).toBe(1);
  });

  it('start a handshake 15 s after data that got no answer', () => {
    const { world, a } = established();
    world.tap = () => false;
    const start = world.now.monotonic;
    a.send(packet(IP_A, IP_B, 1));
    world.run(20 * SECOND);
    const initiations = a.sent.filter((s) => s.type === 1);
    expect(initiations).toHaveLength(1);
    expect(initiations[0]!.at - start).toBeGreaterThanOrEqual(15_000);
    expect(initiations[0]!.at - start).toBeLessThanOrEqual(15_333);
  });

  it('retry a handshake every 5 s with jitter, and give up after 90 s', () => {
    const { world, a } = pair();
    world.tap = () => false;
    const start = world.now.monotonic;
    a.send(packet(IP_A, IP_B, 1));
    a.send(packet(IP_A, IP_B, 2));
    world.run(200 * SECOND);
    const times = a.sent.filter((s) => s.type === 1).map((s) => s.at - start);
    expect(times).toHaveLength(18);
    for (let i = 1; i < times.length; i++) {
      expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(5_000);
      expect(times[i]! - times[i - 1]!).toBeLessThanOrEqual(5_333);
    }
    expect(new Set(times.map((t, i) => t - (times[i - 1] ?? 0))).size).toBeGreaterThan(5);
    const gaveUp = a.events.filter((e) => e.type === 'handshake-gave-up');
    expect(gaveUp).toHaveLength(1);
    expect(a.drops.get('out_staged_expired')).toBe(2);
    expect(world.now.monotonic - start).toBe(200 * SECOND);
    // It starts again when there is something to send.
    a.send(packet(IP_A, IP_B, 3));
    expect(countSent(a, 1)).toBe(19);
  });

  it('renew the session after 120 s of use, by the initiator only', () => {
    const { world, a, b } = established();
    const handshakes: [string, number][] = [];
    for (let s = 0; s < 400; s++) {
      a.send(packet(IP_A, IP_B, s));
      b.send(packet(IP_B, IP_A, s));
      world.run(SECOND);
    }
    const start = 1_100;
    for (const sent of a.sent) if (sent.type === 1) handshakes.push(['a', sent.at - start]);
    for (const sent of b.sent) if (sent.type === 1) handshakes.push(['b', sent.at - start]);
    expect(handshakes.map(([who]) => who)).toEqual(['a', 'a', 'a']);
    for (const [i, [, at]] of handshakes.entries()) {
      expect(at).toBeGreaterThan(120_000 * (i + 1));
      expect(at).toBeLessThan(120_000 * (i + 1) + 5_000);
    }
    expect(ids(b)).toEqual(Array.from({ length: 400 }, (_, i) => i));
    expect(ids(a)).toEqual(Array.from({ length: 400 }, (_, i) => i));
    expect(slots(a)).toBeLessThanOrEqual(3);
  });

  it('renew the session at 120 s when the initiator sends keepalives only', () => {
    const { world, a, b } = established();
    for (let s = 0; s < 170; s++) {
      b.send(packet(IP_B, IP_A, s));
      world.run(SECOND);
    }
    const initiations = a.sent.filter((sent) => sent.type === 1).map((sent) => sent.at - 1_010);
    expect(initiations).toHaveLength(1);
    expect(initiations[0]).toBeGreaterThan(120_000);
    expect(ids(a)).toHaveLength(170);
    expect(countSent(b, 1)).toBe(0);
  });

  it('renew the session when data is received later than 165 s, once', () => {
    const { world, a, b } = established();
    world.run(164 * SECOND);
    a.sent.length = 0;
    b.send(packet(IP_B, IP_A, 1));
    world.run(SECOND);
    expect(types(a)).toEqual([]);
    world.tap = (datagram) => datagram.bytes[0] !== 1;
    for (let i = 0; i < 5; i++) {
      b.send(packet(IP_B, IP_A, 2 + i));
      world.run(10);
    }
    expect(types(a)).toEqual([1]);
    expect(countSent(b, 1)).toBe(0);
  });

  it('end a session at 180 s: nothing is sealed or opened with it any more', () => {
    const { world, a, b } = established();
    const captured: Datagram[] = [];
    world.tap = (datagram) => {
      captured.push(datagram);
      return false;
    };
    a.send(packet(IP_A, IP_B, 1));
    expect(captured).toHaveLength(1);
    world.run(181 * SECOND);
    world.tap = () => true;
    a.sent.length = 0;
    const before = b.drops.get('in_expired_key');
    world.inject(captured[0]!);
    world.run(10);
    expect(b.drops.get('in_expired_key')).toBe(before + 1);
    expect(ids(b)).toEqual([]);
    world.tap = () => false;
    a.send(packet(IP_A, IP_B, 2));
    expect(countSent(a, 4)).toBe(0);
  });

  it('wipe all keys 540 s after the last session was made', () => {
    const { world, a, b } = established();
    expect(slots(a)).toBe(1);
    world.run(539 * SECOND);
    expect(slots(a)).toBe(1);
    expect(slots(b)).toBe(1);
    world.run(2 * SECOND);
    expect(slots(a)).toBe(0);
    expect(slots(b)).toBe(0);
    expect(a.events.map((e) => e.type)).toContain('keys-wiped');
    expect(a.device.pollTimeout()).toBe(Number.POSITIVE_INFINITY);
  });

  it('keep a NAT open with persistent keepalives, through rekeys', () => {
    const { world, a, b } = pair();
    a.configurePeers({ publicKey: b.publicKey, persistentKeepalive: 25 });
    world.run(1_000 * SECOND);
    const times = a.sent.map((s) => s.at);
    for (let i = 1; i < times.length; i++) {
      expect(times[i]! - times[i - 1]!).toBeLessThanOrEqual(25_010);
    }
    const initiations = a.sent.filter((s) => s.type === 1);
    expect(initiations.length).toBeGreaterThanOrEqual(6);
    expect(initiations.length).toBeLessThanOrEqual(8);
    expect(countSent(b, 1)).toBe(0);
    a.configurePeers({ publicKey: b.publicKey, persistentKeepalive: 0 });
    const sent = a.sent.length;
    world.run(100 * SECOND);
    expect(a.sent.length).toBe(sent);
  });

  it('ask to be woken a few times a minute, not per packet', () => {
    const { world, a, b } = established();
    let wakes = 0;
    const { handleTimeout } = a.device;
    a.device.handleTimeout = (now) => {
      wakes++;
      handleTimeout.call(a.device, now);
    };
    for (let i = 0; i < 6_000; i++) {
      a.send(packet(IP_A, IP_B, i));
      b.send(packet(IP_B, IP_A, i));
      world.run(10);
    }
    expect(wakes).toBeLessThan(20);
  });
});

describe('simultaneous initiation', () => {
  it('from both sides ends in one working session', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = new World(seed);
      const a = world.node({ address: A });
      const b = world.node({ address: B });
      a.configurePeers({
        publicKey: b.publicKey,
        endpoint: endpointOf(B)!,
        allowedIps: allow(IP_B, 32),
      });
      b.configurePeers({
        publicKey: a.publicKey,
        endpoint: endpointOf(A)!,
        allowedIps: allow(IP_A, 32),
      });
      a.up();
      b.up();
      a.send(packet(IP_A, IP_B, 1));
      b.send(packet(IP_B, IP_A, 2));
      world.run(30 * SECOND);
      expect(ids(a)).toEqual([2]);
      expect(ids(b)).toEqual([1]);
    }
  });
});

describe('order', () => {
  it('what the responder has staged goes out as soon as the session is confirmed', () => {
    const { world, a, b } = pair();
    b.configurePeers({ publicKey: a.publicKey, endpoint: endpointOf(A)! });
    world.tap = () => false;
    b.send(packet(IP_B, IP_A, 1));
    b.send(packet(IP_B, IP_A, 2));
    world.tap = () => true;
    a.send(packet(IP_A, IP_B, 3));
    world.run(100);
    expect(ids(b)).toEqual([3]);
    expect(ids(a)).toEqual([1, 2]);
  });

  it('new packets wait behind staged ones that nobody has polled yet', () => {
    const { world, a, b } = pair();
    a.send(packet(IP_A, IP_B, 1));
    a.holding = true;
    world.run(100);
    a.send(packet(IP_A, IP_B, 2), packet(IP_A, IP_B, 3));
    expect(countSent(a, 4)).toBe(0);
    a.holding = false;
    a.flush();
    world.run(100);
    expect(ids(b)).toEqual([1, 2, 3]);
  });

  it('but rather overtake than push them out of the queue', () => {
    const { world, a, b } = pair();
    for (let i = 0; i < 120; i++) a.send(packet(IP_A, IP_B, i));
    a.holding = true;
    world.run(100);
    a.send(...Array.from({ length: 20 }, (_, i) => packet(IP_A, IP_B, 200 + i)));
    a.holding = false;
    a.flush();
    world.run(100);
    expect(ids(b)).toHaveLength(140);
    expect(a.drops.entries()).toEqual([]);
  });
});

describe('an initiation of ours', () => {
  it('is not sent when the peer’s has just been answered', () => {
    const { world, a, b } = pair();
    b.configurePeers({ publicKey: a.publicKey, endpoint: endpointOf(A)! });
    world.tap = (datagram) => datagram.bytes[0] !== 2;
    a.send(packet(IP_A, IP_B, 1));
    world.run(10);
    expect(types(b)).toEqual([2]);
    b.send(packet(IP_B, IP_A, 1));
    world.run(4 * SECOND);
    expect(types(b)).toEqual([2]);
  });

  it('that waits to be polled is given up for the answer to the peer’s', () => {
    const { world, a, b } = pair();
    b.configurePeers({ publicKey: a.publicKey, endpoint: endpointOf(A)! });
    b.holding = true;
    b.send(packet(IP_B, IP_A, 1));
    a.send(packet(IP_A, IP_B, 2));
    world.run(10);
    b.holding = false;
    b.flush();
    expect(types(b)).toEqual([2]);
    world.run(100);
    expect(ids(a)).toEqual([1]);
    expect(ids(b)).toEqual([2]);
  });

  it('has a newer timestamp than the one before, even if the clock was set back', () => {
    const { world, a, b } = established();
    world.unixOffset -= 3_600 * SECOND;
    world.run(200 * SECOND);
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    expect(ids(b)).toEqual([1]);
    expect(b.drops.entries()).toEqual([]);
  });
});

describe('padding', () => {
  it('is zero, whatever was in the vector before', () => {
    const { world, a, b } = pair();
    const plain: Uint8Array[] = [];
    world.tap = (datagram) => {
      if (datagram.bytes[0] === 4) plain.push(datagram.bytes.subarray(16, -16));
      return true;
    };
    a.send(packet(IP_A, IP_B, 1, 25));
    a.out.arena.fill(0xff);
    world.run(100);
    expect(ids(b)).toEqual([1]);
    expect(plain).toHaveLength(1);
    expect(plain[0]).toHaveLength(48);
    expect([...plain[0]!.subarray(45)]).toEqual([0, 0, 0]);
  });
});

describe('a response that gets lost', () => {
  it('does not end the retries of the initiation that it came between', () => {
    const world = new World(2);
    const a = world.node({ address: A });
    const b = world.node({ address: B });
    a.configurePeers({
      publicKey: b.publicKey,
      endpoint: endpointOf(B)!,
      allowedIps: allow(IP_B, 32),
    });
    b.configurePeers({
      publicKey: a.publicKey,
      endpoint: endpointOf(A)!,
      allowedIps: allow(IP_A, 32),
    });
    a.up();
    b.up();
    const fromB = (datagram: Datagram) => datagram.to[0]! >>> 16 === A.port;
    world.tap = (datagram) => !fromB(datagram);
    b.send(packet(IP_B, IP_A, 1));
    world.run(3 * SECOND);
    a.send(packet(IP_A, IP_B, 2));
    world.run(100);
    expect(types(b)).toEqual([1, 2]);
    // `a` falls silent; `b` still has something to say and finds out when the way is free again.
    world.tap = () => false;
    a.down();
    world.run(20 * SECOND);
    expect(countSent(b, 1)).toBeGreaterThanOrEqual(4);
    a.up();
    world.tap = () => true;
    world.run(6 * SECOND);
    expect(ids(a)).toEqual([1]);
  });
});

describe('roaming', () => {
  it('follows an authentic message to a new address, and nothing else', () => {
    const { world, a, b } = established();
    const old = a.address;
    a.address = { ip: [198, 51, 100, 7], port: 4_444 };
    // Forged from somewhere else with a valid index: changes nothing.
    a.send(packet(IP_A, IP_B, 1));
    world.run(10);
    b.send(packet(IP_B, IP_A, 2));
    world.run(10);
    expect(ids(a)).toEqual([2]);
    expect(b.events.filter((e) => e.type === 'endpoint-roamed').length).toBeGreaterThanOrEqual(1);
    let last: Datagram | undefined;
    world.tap = (datagram) => {
      last = datagram;
      return true;
    };
    a.send(packet(IP_A, IP_B, 3));
    world.run(10);
    // A replay from the old address does not move it back; a damaged copy neither.
    a.address = old;
    world.tap = () => true;
    const moved = b.endpoints.words.slice(0, 6);
    const from = last!.from.slice();
    from[0] = 4 | (9_999 << 16);
    world.inject({ from, to: last!.to, bytes: last!.bytes });
    const damaged = last!.bytes.slice();
    damaged[20]! ^= 1;
    world.inject({ from, to: last!.to, bytes: damaged });
    world.run(10);
    expect(b.drops.get('in_replay')).toBe(1);
    expect(b.drops.get('in_auth')).toBe(1);
    expect(b.endpoints.words.slice(0, 6)).toEqual(moved);
  });

  it('answers from the local address that the peer has sent to, until told to forget it', () => {
    const { b } = established();
    const sticky = () => b.endpoints.words.slice(6, 11);
    const remote = b.endpoints.words.slice(0, 6);
    expect(sticky()[0]).toBe(new Int32Array(Uint8Array.from(B.ip).buffer)[0]);
    b.device.clearStickySources();
    expect(sticky().every((word) => word === 0)).toBe(true);
    expect(b.endpoints.words.slice(0, 6)).toEqual(remote);
  });
});

describe('replay', () => {
  it('of any datagram of a session delivers nothing twice', () => {
    const world = new World(3);
    const all: Datagram[] = [];
    world.tap = (datagram) => {
      all.push(datagram);
      return true;
    };
    const { a, b } = (() => {
      const a = world.node({ address: A });
      const b = world.node({ address: B });
      const endpoint = endpointOf(B)!;
      a.configurePeers({ publicKey: b.publicKey, endpoint, allowedIps: allow(IP_B, 32) });
      b.configurePeers({ publicKey: a.publicKey, allowedIps: allow(IP_A, 32) });
      a.up();
      b.up();
      return { a, b };
    })();
    for (let i = 0; i < 50; i++) {
      a.send(packet(IP_A, IP_B, i));
      b.send(packet(IP_B, IP_A, i));
      world.run(100);
    }
    const [atA, atB] = [a.received.length, b.received.length];
    const figures = createPeerFigures();
    b.statistics.read(0, figures);
    const rx = figures.rxBytes;
    world.tap = () => true;
    for (const datagram of all) world.inject(datagram);
    world.run(SECOND);
    for (const datagram of all.reverse()) world.inject(datagram);
    world.run(SECOND);
    expect(a.received.length).toBe(atA);
    expect(b.received.length).toBe(atB);
    b.statistics.read(0, figures);
    expect(figures.rxBytes).toBe(rx);
    expect(b.drops.get('in_handshake_replay')).toBe(2);
    const data = all.filter((d) => d.bytes[0] === 4 && d.to[0]! >>> 16 === B.port).length;
    expect(b.drops.get('in_replay')).toBe(2 * data);
  });
});

describe('configuration while sessions live', () => {
  it('removing a peer wipes its keys and forgets everything about it', () => {
    const { world, a, b } = established();
    a.configurePeers({ publicKey: b.publicKey, remove: true });
    expect(slots(a)).toBe(0);
    expect(isZero(new Uint8Array(a.endpoints.words.buffer, 0, ENDPOINT_RECORD_WORDS * 4))).toBe(
      true,
    );
    b.send(packet(IP_B, IP_A, 1));
    world.run(100);
    expect(ids(a)).toEqual([]);
    expect(a.drops.get('in_unknown_index')).toBe(1);
    a.send(packet(IP_A, IP_B, 1));
    expect(a.drops.get('out_no_route')).toBe(1);
    // What the host says to everybody is told apart: it is no fault of a route.
    const others = [
      [224, 0, 0, 22],
      [239, 1, 2, 3],
      [255, 255, 255, 255],
      [255, 255, 255, 254],
    ];
    for (const to of others) a.send(packet(IP_A, to, 2));
    const report = new Uint8Array(76);
    report[0] = 0x60;
    report[5] = 36;
    report[24] = 0xff;
    a.send(report);
    expect(a.drops.entries().slice(-2)).toEqual([
      ['out_no_route', 2],
      ['out_multicast', 4],
    ]);
    expect(a.device.pollTimeout()).toBe(Number.POSITIVE_INFINITY);
    const figures = createPeerFigures();
    a.statistics.read(0, figures);
    expect(figures).toEqual(createPeerFigures());
  });

  it('removing a peer while packets wait for its session counts them', () => {
    const { world, a, b } = pair();
    world.tap = () => false;
    for (let i = 0; i < 130; i++) a.send(packet(IP_A, IP_B, i));
    expect(a.drops.get('out_staged_full')).toBe(2);
    a.configurePeers({ publicKey: b.publicKey, remove: true });
    expect(a.drops.get('out_staged_expired')).toBe(128);
  });

  it('a peer that was removed and added again gets a new session', () => {
    const { world, a, b } = established();
    a.configurePeers({ publicKey: b.publicKey, remove: true });
    a.configurePeers({
      publicKey: b.publicKey,
      endpoint: endpointOf(B)!,
      allowedIps: allow(IP_B, 32),
    });
    a.send(packet(IP_A, IP_B, 5));
    world.run(100);
    expect(ids(b)).toEqual([5]);
    expect(slots(a)).toBe(1);
  });

  it('down drops sessions and what waits; up starts anew', () => {
    const { world, a, b } = established();
    a.down();
    expect(slots(a)).toBe(0);
    expect(a.device.pollTimeout()).toBe(Number.POSITIVE_INFINITY);
    b.send(packet(IP_B, IP_A, 1));
    world.run(100);
    expect(ids(a)).toEqual([]);
    a.up();
    a.send(packet(IP_A, IP_B, 5));
    world.run(100);
    expect(ids(b)).toEqual([5]);
  });

  it('a new private key ends sealing with old sessions and makes new ones', () => {
    const { world, a, b } = established();
    const other = world.node({ address: { ip: [192, 0, 2, 9], port: 1 } });
    a.device.configure({ privateKey: other.privateKey, peers: [] }, world.now);
    b.configurePeers({ publicKey: other.publicKey, allowedIps: allow(IP_A, 32) });
    a.send(packet(IP_A, IP_B, 5));
    world.run(100);
    expect(ids(b)).toEqual([5]);
    expect(b.received[0]!.peer).toBe(1);
  });

  it('without a private key nothing is sent or accepted', () => {
    const { world, a, b } = pair();
    b.device.configure({ privateKey: new Uint8Array(32), peers: [] }, world.now);
    a.send(packet(IP_A, IP_B, 5));
    world.run(100);
    expect(b.sent).toEqual([]);
    expect(b.drops.get('in_mac1')).toBe(1);
    a.device.configure({ privateKey: new Uint8Array(32), peers: [] }, world.now);
    const sent = a.sent.length;
    world.run(200 * SECOND);
    expect(a.sent.length).toBe(sent);
  });

  it('allowed IPs move to the peer that got them last', () => {
    const { world, a, b } = established();
    const c = world.node({ address: { ip: [192, 0, 2, 3], port: 3 } });
    c.configurePeers({ publicKey: a.publicKey, allowedIps: allow(IP_A, 32) });
    c.up();
    a.configurePeers({
      publicKey: c.publicKey,
      endpoint: endpointOf(c.address)!,
      allowedIps: allow(IP_B, 32),
    });
    a.send(packet(IP_A, IP_B, 9));
    world.run(100);
    expect(ids(c)).toEqual([9]);
    // What the first peer still sends from there is no longer accepted.
    b.send(packet(IP_B, IP_A, 10));
    world.run(100);
    expect(ids(a)).toEqual([]);
    expect(a.drops.get('in_source_not_allowed')).toBe(1);
  });

  it('packets for nothing that a device is told to let in are dropped', () => {
    const { world, a, b } = established();
    const arrived = (destinations: Uint8Array): boolean => {
      b.device.configure({ destinations, peers: [] }, world.now);
      const before = b.received.length;
      a.send(packet(IP_A, IP_B, 9));
      world.run(100);
      return b.received.length > before;
    };
    expect(arrived(new Uint8Array())).toBe(false);
    expect(arrived(allow(IP_A, 32))).toBe(false);
    expect(b.drops.get('in_destination_not_own')).toBe(2);
    expect(arrived(allow(IP_B, 24))).toBe(true);
    const removed = allow(IP_B, 24, true);
    expect(arrived(removed)).toBe(false);
    expect(() => arrived(removed.subarray(1))).toThrow('cut off');
    // A peer's own prefixes are another list.
    a.send(packet(IP_A, IP_A, 9));
    world.run(100);
    expect(a.drops.get('out_no_route')).toBe(1);
  });
});
