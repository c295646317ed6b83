/** Floods of handshake messages: cookies, rate limits, bounds (whitepaper § 5.3). */
import { describe, expect, it } from 'vitest';
import { ENDPOINT_RECORD_WORDS } from '../../src/vector.ts';
import { HANDSHAKE_QUEUE_SIZE } from '../../src/wireguard/handshake-queue.ts';
import {
  type Address,
  allow,
  type Datagram,
  endpointOf,
  idOf,
  type Node,
  packet,
  recordOf,
  World,
} from './world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];
const SECOND = 1_000;

function pair() {
  const world = new World(1);
  const a = world.node({ address: A });
  const b = world.node({ address: B });
  const endpoint = endpointOf(B)!;
  a.configurePeers({ publicKey: b.publicKey, endpoint, allowedIps: allow(IP_B, 32) });
  b.configurePeers({ publicKey: a.publicKey, allowedIps: allow(IP_A, 32) });
  a.up();
  b.up();
  return { world, a, b };
}

const ids = (node: Node) => node.received.map((r) => idOf(r.packet));

/** An initiation of `a` to `b`, caught before it is delivered. */
function caughtInitiation() {
  const all = pair();
  let caught: Datagram | undefined;
  all.world.tap = (datagram) => {
    caught = datagram;
    return false;
  };
  all.a.send(packet(IP_A, IP_B, 1));
  all.world.tap = () => true;
  return { ...all, initiation: caught! };
}

describe('under load', () => {
  it('answers a message without mac2 with a cookie, and the next with the cookie goes through', () => {
    const { world, a, b } = pair();
    b.device.enterUnderLoad(world.now);
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    expect(b.drops.entries()).toEqual([['in_mac2', 1]]);
    expect(b.sent.map((s) => [s.type, s.size])).toEqual([[3, 64]]);
    expect(ids(b)).toEqual([]);
    world.run(4_500);
    b.device.enterUnderLoad(world.now);
    world.run(900);
    expect(ids(b)).toEqual([1]);
    expect(b.drops.entries()).toEqual([['in_mac2', 1]]);
  });

  it('keeps the initiator out as long as the cookie is another source’s', () => {
    const { world, a, b } = pair();
    b.device.enterUnderLoad(world.now);
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    a.address = { ip: [192, 0, 2, 1], port: 1_000 };
    world.run(4_500);
    b.device.enterUnderLoad(world.now);
    world.run(900);
    expect(ids(b)).toEqual([]);
    expect(b.drops.get('in_mac2')).toBe(2);
  });

  it('takes the relay id as part of the source', () => {
    const { world, b, initiation } = caughtInitiation();
    b.device.enterUnderLoad(world.now);
    const replies: Datagram[] = [];
    world.tap = (datagram) => {
      replies.push(datagram);
      return false;
    };
    const relayed = (id: number): [Int32Array, Uint8Array] => {
      const bytes = initiation.bytes.slice();
      bytes[1] = id;
      bytes[2] = id >> 8;
      bytes[3] = id >> 16;
      return [recordOf(A, id), bytes];
    };
    b.receive(...relayed(0x010203));
    b.receive(...relayed(0x010204));
    expect(replies.map((r) => r.to[11])).toEqual([0x010203, 0x010204]);
    expect(replies.map((r) => [...r.bytes.subarray(0, 4)])).toEqual([
      [3, 3, 2, 1],
      [3, 4, 2, 1],
    ]);
    expect(b.drops.entries()).toEqual([['in_mac2', 2]]);
  });

  it('begins when an eighth of the queue waits, and ends a second later', () => {
    const { world, b, initiation } = caughtInitiation();
    b.handshakeBudget = 0;
    for (let i = 0; i < HANDSHAKE_QUEUE_SIZE / 8; i++) b.receive(initiation.from, initiation.bytes);
    expect(b.events.map((e) => e.type)).toEqual(['under-load']);
    b.device.handleHandshakes(world.now, 64);
    b.flush();
    expect(b.drops.get('in_mac2')).toBe(HANDSHAKE_QUEUE_SIZE / 8);
    b.handshakeBudget = 64;
    world.run(1_001);
    b.receive(initiation.from, initiation.bytes);
    expect(b.drops.get('in_mac2')).toBe(HANDSHAKE_QUEUE_SIZE / 8);
    expect(b.sent.at(-1)!.type).toBe(2);
  });

  it('limits a source that has its cookie to bursts of 5 and 20 a second', () => {
    const { world, b, a } = pair();
    // Under load from now on; `a` gets its cookie and then repeats what it sends.
    let last: Datagram | undefined;
    world.tap = (datagram) => {
      if (datagram.bytes[0] === 1) last = datagram;
      return true;
    };
    b.device.enterUnderLoad(world.now);
    a.send(packet(IP_A, IP_B, 1));
    world.run(5_500);
    b.device.enterUnderLoad(world.now);
    const before = b.drops.get('in_handshake_replay');
    for (let i = 0; i < 10; i++) b.receive(last!.from, last!.bytes);
    expect(b.drops.get('in_handshake_replay') - before).toBe(5);
    expect(b.drops.get('in_rate_limited')).toBe(5);
    world.run(500);
    for (let i = 0; i < 10; i++) b.receive(last!.from, last!.bytes);
    expect(b.drops.get('in_handshake_replay') - before).toBe(10);
  });

  it('forgets a cookie after two minutes, on both sides', () => {
    const { world, a, b } = pair();
    b.device.enterUnderLoad(world.now);
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    world.tap = () => false;
    world.run(100 * SECOND);
    world.tap = () => true;
    world.run(30 * SECOND);
    b.device.enterUnderLoad(world.now);
    a.send(packet(IP_A, IP_B, 2));
    world.run(100);
    expect(ids(b)).toEqual([]);
    expect(b.drops.get('in_mac2')).toBe(2);
    expect(b.sent.filter((s) => s.type === 3)).toHaveLength(2);
  });
});

describe('bounds', () => {
  it('holds 256 handshake messages and counts the others', () => {
    const { b, initiation } = caughtInitiation();
    b.handshakeBudget = 0;
    for (let i = 0; i < 300; i++) b.receive(initiation.from, initiation.bytes);
    expect(b.drops.get('in_handshake_queue_full')).toBe(300 - HANDSHAKE_QUEUE_SIZE);
  });

  it('does public-key work for `budget` messages at a time, whatever else is waiting', () => {
    const { world, b, initiation } = caughtInitiation();
    b.handshakeBudget = 0;
    const forged = initiation.bytes.slice();
    forged[20]! ^= 1;
    for (let i = 0; i < 10; i++) {
      b.receive(initiation.from, forged);
      b.receive(initiation.from, initiation.bytes);
    }
    expect(b.device.handleHandshakes(world.now, 4)).toBe(12);
    expect(b.drops.get('in_mac1')).toBe(4);
    expect(b.drops.get('in_handshake_replay')).toBe(3);
    expect(b.device.handleHandshakes(world.now, 100)).toBe(0);
    expect(b.drops.get('in_mac1')).toBe(10);
    for (let i = 0; i < 100; i++) b.receive(initiation.from, forged);
    // Sixteen that fail at once cost as much as one that does not.
    expect(b.device.handleHandshakes(world.now, 2)).toBe(100 - 32);
  });

  it('sends at most 256 cookie replies at a time, each to its own source', () => {
    const { world, b, initiation } = caughtInitiation();
    b.handshakeBudget = 0;
    b.device.enterUnderLoad(world.now);
    const sources: Address[] = Array.from({ length: 256 }, (_, i) => ({
      ip: [198, 51, 100, i],
      port: 1_000 + i,
    }));
    const replies: Datagram[] = [];
    world.tap = (datagram) => {
      replies.push(datagram);
      return false;
    };
    b.holding = true;
    for (let round = 0; round < 2; round++) {
      for (const source of sources) b.receive(recordOf(source), initiation.bytes);
      b.device.handleHandshakes(world.now, 16);
    }
    b.holding = false;
    b.flush();
    expect(b.drops.entries()).toEqual([['in_mac2', 512]]);
    expect(replies).toHaveLength(256);
    for (const [i, reply] of replies.entries()) {
      expect(reply.to.slice(0, ENDPOINT_RECORD_WORDS - 1)).toEqual(
        recordOf(sources[i]!).slice(0, ENDPOINT_RECORD_WORDS - 1),
      );
      expect(reply.bytes.length).toBe(64);
    }
  });

  it('no unauthenticated message gets an answer longer than itself', () => {
    const { world, b, initiation } = caughtInitiation();
    b.device.enterUnderLoad(world.now);
    for (let length = 0; length <= 200; length++) {
      for (let type = 0; type <= 5; type++) {
        const bytes = new Uint8Array(length);
        bytes.set(initiation.bytes.subarray(0, length));
        if (length > 0) bytes[0] = type;
        const sent = b.sent.length;
        b.receive(initiation.from, bytes);
        const answered = b.sent.slice(sent).reduce((sum, s) => sum + s.size, 0);
        expect(answered).toBeLessThanOrEqual(length);
      }
    }
  });
});

describe('initiations of one peer', () => {
  it('less than 20 ms apart are dropped', () => {
    const { world, a, b } = pair();
    const initiations: Datagram[] = [];
    world.tap = (datagram) => {
      if (datagram.bytes[0] === 1) initiations.push(datagram);
      return false;
    };
    a.send(packet(IP_A, IP_B, 1));
    world.run(20 * SECOND);
    expect(initiations).toHaveLength(4);
    b.receive(initiations[0]!.from, initiations[0]!.bytes);
    world.run(15);
    b.receive(initiations[1]!.from, initiations[1]!.bytes);
    expect(b.drops.entries()).toEqual([['in_handshake_flood', 1]]);
    world.run(10);
    b.receive(initiations[2]!.from, initiations[2]!.bytes);
    world.run(50);
    // Older than the newest accepted: a replay.
    b.receive(initiations[1]!.from, initiations[1]!.bytes);
    b.receive(initiations[2]!.from, initiations[2]!.bytes);
    expect(b.drops.entries()).toEqual([
      ['in_handshake_replay', 2],
      ['in_handshake_flood', 1],
    ]);
  });

  it('from a key that is not configured are counted as that', () => {
    const { world, a, b } = pair();
    b.configurePeers({ publicKey: a.publicKey, remove: true });
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    expect(b.drops.entries()).toEqual([['in_handshake_unknown_peer', 1]]);
    expect(b.sent).toEqual([]);
  });
});

describe('reserved bytes', () => {
  it('that are not zero are dropped from a source that is no relay, in every message', () => {
    const { b, initiation } = caughtInitiation();
    for (const at of [1, 2, 3]) {
      const bytes = initiation.bytes.slice();
      bytes[at] = 1;
      b.receive(initiation.from, bytes);
    }
    const data = new Uint8Array(64);
    data[0] = 4;
    data[3] = 9;
    b.receive(initiation.from, data);
    expect(b.drops.entries()).toEqual([['in_reserved_bytes', 4]]);
  });

  it('carry the relay id both ways between nodes behind a relay, which macs do not see', () => {
    const { world, a, b } = pair();
    // A relay in the middle: `a` is its number 5, `b` its number 9.
    a.endpoints.words[11] = 9;
    world.tap = (datagram) => {
      const toB = datagram.to[0]! >>> 16 === B.port;
      const id = datagram.bytes[1]! | (datagram.bytes[2]! << 8);
      expect(id).toBe(toB ? 9 : 5);
      const bytes = datagram.bytes.slice();
      bytes[1] = toB ? 5 : 9;
      const from = datagram.from.slice();
      from[11] = toB ? 5 : 9;
      world.inject({ from, to: datagram.to, bytes });
      return false;
    };
    a.send(packet(IP_A, IP_B, 1));
    world.run(100);
    b.send(packet(IP_B, IP_A, 2));
    world.run(100);
    expect(ids(b)).toEqual([1]);
    expect(ids(a)).toEqual([2]);
    expect(b.endpoints.words[11]).toBe(5);
  });
});
