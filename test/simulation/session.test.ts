/** Two devices and a perfect network: the whole life of a session on a virtual clock. */
import { describe, expect, it } from 'vitest';
import { allow, endpointOf, idOf, packet, World } from './world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];

function pair(seed = 1) {
  const world = new World(seed);
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
  return { world, a, b };
}

describe('a session', () => {
  it('delivers a packet that had to wait for the handshake, and the answer', () => {
    const { world, a, b } = pair();
    a.send(packet(IP_A, IP_B, 7));
    world.run(100);
    expect(b.received.map((r) => idOf(r.packet))).toEqual([7]);
    b.send(packet(IP_B, IP_A, 8));
    world.run(100);
    expect(a.received.map((r) => idOf(r.packet))).toEqual([8]);
  });
});
