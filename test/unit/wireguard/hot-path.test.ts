/** The hot path allocates nothing: memory in use does not grow while runs go back and forth. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  type InboundVector,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  type OutboundVector,
} from '../../../src/vector.ts';
import { PlainAead } from '../../simulation/plain-aead.ts';
import { allow, endpointOf, packet, World } from '../../simulation/world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];

/** Does nothing, at no cost: only the device's own work remains. */
class NullAead extends PlainAead {
  override sealVector(): void {}
  override openVector(): void {}
}

describe('the hot path', () => {
  it.each([
    { peers: 'of any kind', pathFrames: false, carries: 1_420 },
    { peers: 'of our own', pathFrames: true, carries: 1_420 },
    { peers: 'behind a narrow path', pathFrames: true, carries: 1_410 },
  ])('allocates nothing for runs sent and received: peers $peers', ({ pathFrames, carries }) => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const world = new World(1);
    const a = world.node({ address: A });
    const b = world.node({ address: B });
    a.configurePeers({
      publicKey: b.publicKey,
      endpoint: endpointOf(B)!,
      pathFrames,
      allowedIps: allow(IP_B, 32),
    });
    b.configurePeers({ publicKey: a.publicKey, pathFrames, allowedIps: allow(IP_A, 32) });
    a.up();
    b.up();
    world.tap = ({ bytes }) => bytes.length - MESSAGE_OVERHEAD <= carries;
    a.send(packet(IP_A, IP_B, 1));
    world.run(5_000);
    Object.setPrototypeOf(a.aead, NullAead.prototype);
    Object.setPrototypeOf(b.aead, NullAead.prototype);

    const { out } = a;
    const { in: inbound } = b;
    const now = { ...world.now };
    const bytes = packet(IP_A, IP_B, 1, 1_380);
    const size = bytes.length + MESSAGE_OVERHEAD;
    for (let k = 0; k < 45; k++) out.arena.set(bytes, k * size + MESSAGE_HEADER_SIZE);
    const round = (v: OutboundVector, w: InboundVector): number => {
      v.length = 8;
      for (let i = 0; i < 8; i++) {
        v.offset[i] = 0;
        v.stride[i] = size;
        v.count[i] = 45;
        v.lastSize[i] = size;
      }
      now.monotonic += 0.001;
      a.device.handleOutbound(v, now);
      w.length = 8;
      w.messages = 8 * 45;
      for (let i = 0; i < 8; i++) {
        w.offset[i] = 0;
        w.stride[i] = size;
        w.count[i] = 45;
        w.lastSize[i] = size;
        w.head[i] = v.head[i]!;
        w.receiver[i] = v.receiver[i]!;
        w.source[i] = 0;
        w.first[i] = i * 45;
      }
      b.device.handleInbound(w, now);
      for (let k = 0; k < 8 * 45; k++) {
        w.plain[k] = 1_400;
        w.counter[k] = v.counter[0]! + k;
      }
      b.device.handleOpened(w, now);
      return w.slot[0]! + b.device.peerOfRun(w, 7);
    };
    let sum = 0;
    for (let i = 0; i < 5_000; i++) sum += round(out, inbound);
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 5_000; i++) sum += round(out, inbound);
    const after = process.memoryUsage().heapUsed;
    expect(sum).toBe(0);
    expect(b.drops.entries()).toEqual([]);
    expect(a.drops.entries()).toEqual([]);
    // 40,000 runs each way: less than one boxed number (16 bytes) for each of them.
    expect(after - before).toBeLessThan(80_000 * 16);
  });
});
