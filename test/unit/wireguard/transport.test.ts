/** Transport data message by message: what becomes of each of a run (whitepaper § 5.4.6). */
import { describe, expect, it } from 'vitest';
import { OPEN_FAILED, OPEN_REPLAYED, SLOT_NONE } from '../../../src/vector.ts';
import { REJECT_AFTER_MESSAGES } from '../../../src/wireguard/timers.ts';
import { allow, endpointOf, packet, recordOf, World } from '../../simulation/world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];

/** What "opening" is to result in, for one message after the other: plain, counter. */
type Opened = readonly (readonly [plain: number, counter: number])[];

/** `b` with a session, and a way to hand it a run with the results of opening given. */
function receiver() {
  const world = new World(1);
  const a = world.node({ address: A });
  const b = world.node({ address: B });
  a.configurePeers({
    publicKey: b.publicKey,
    endpoint: endpointOf(B)!,
    allowedIps: allow(IP_B, 32),
  });
  b.configurePeers({ publicKey: a.publicKey, allowedIps: allow(IP_A, 32) });
  a.up();
  b.up();
  let index = 0;
  world.tap = (datagram) => {
    const isData = datagram.bytes[0] === 4 && datagram.to[0]! >>> 16 === B.port;
    if (isData) index = new DataView(datagram.bytes.buffer).getUint32(4, true);
    return true;
  };
  a.send(packet(IP_A, IP_B, 1));
  world.run(100);
  const v = b.in;
  const receive = (stride: number, lastSize: number, opened: Opened): number[] => {
    v.clear();
    v.sources.words.set(recordOf(A));
    v.length = 1;
    v.messages = opened.length;
    v.offset[0] = 0;
    v.stride[0] = stride;
    v.count[0] = opened.length;
    v.lastSize[0] = lastSize;
    v.head[0] = 4;
    v.receiver[0] = index;
    v.source[0] = 0;
    v.first[0] = 0;
    b.device.handleInbound(v, world.now);
    opened.forEach(([plain, counter], k) => {
      v.plain[k] = plain;
      v.counter[k] = counter;
    });
    b.device.handleOpened(v, world.now);
    return [...v.plain.subarray(0, v.count[0])];
  };
  return { world, a, b, v, receive };
}

const rx = (b: ReturnType<typeof receiver>['b']) => b.statistics.rxBytes[0]!;

describe('a run of messages', () => {
  it('is taken whole when all of it is new', () => {
    const { b, receive } = receiver();
    const before = rx(b);
    const opened = Array.from({ length: 45 }, (_, k) => [100, 10 + k] as const);
    expect(receive(132, 80, opened)).toEqual(opened.map(() => 100));
    expect(rx(b) - before).toBe(44 * 132 + 80);
    expect(b.drops.entries()).toEqual([]);
  });

  it('is taken in parts when some of it fails, is old, or comes twice', () => {
    const { b, receive } = receiver();
    receive(132, 132, [[100, 11]]);
    const before = rx(b);
    expect(
      receive(132, 80, [
        [100, 10],
        [100, 11],
        [OPEN_FAILED, 12],
        [100, 13],
        [100, 13],
        [0, 14],
      ]),
    ).toEqual([100, OPEN_REPLAYED, OPEN_FAILED, 100, OPEN_REPLAYED, 0]);
    expect(rx(b) - before).toBe(2 * 132 + 80);
    expect(b.drops.entries()).toEqual([
      ['in_auth', 1],
      ['in_replay', 2],
    ]);
  });

  it('changes nothing when all of it fails', () => {
    const { world, b, receive } = receiver();
    const before = rx(b);
    const endpoint = b.endpoints.words.slice();
    world.run(11_000);
    receive(132, 132, [
      [OPEN_FAILED, 10],
      [OPEN_FAILED, 11],
    ]);
    expect(rx(b)).toBe(before);
    expect(b.endpoints.words).toEqual(endpoint);
    expect(b.drops.entries()).toEqual([['in_auth', 2]]);
  });

  it('ends before REJECT_AFTER_MESSAGES, and a counter beyond 2^53 is never taken', () => {
    const { b, receive } = receiver();
    const last = REJECT_AFTER_MESSAGES - 1;
    expect(
      receive(132, 132, [
        [100, last],
        [100, last + 1],
        [100, last + 2],
      ]),
    ).toEqual([100, OPEN_FAILED, OPEN_FAILED]);
    expect(receive(132, 132, [[100, Number.POSITIVE_INFINITY]])).toEqual([OPEN_FAILED]);
    expect(b.drops.entries()).toEqual([['in_expired_key', 3]]);
  });

  it('loses its last message if that is too short to be one', () => {
    const { b, v, receive } = receiver();
    const opened = [
      [0, 10],
      [0, 11],
    ] as const;
    expect(receive(32, 31, opened)).toEqual([0]);
    expect([v.count[0], v.lastSize[0]]).toEqual([1, 32]);
    expect(b.drops.entries()).toEqual([['in_too_short', 1]]);
  });

  it('all too short, of an unknown index, or too late gets no key', () => {
    const { world, v, b, receive } = receiver();
    receive(31, 31, [[0, 10]]);
    expect(v.slot[0]).toBe(SLOT_NONE);
    expect(b.device.peerOfRun(v, 0)).toBe(-1);
    world.run(181_000);
    receive(132, 132, [
      [100, 10],
      [100, 11],
    ]);
    expect(v.slot[0]).toBe(SLOT_NONE);
    b.down();
    receive(132, 132, [[100, 12]]);
    expect(b.drops.entries()).toEqual([
      ['in_too_short', 1],
      ['in_unknown_index', 1],
      ['in_expired_key', 2],
    ]);
  });
});
