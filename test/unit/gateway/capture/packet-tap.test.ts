/** What a capture says of each packet, on two real devices in a simulated network. */
import { beforeEach, expect, test } from 'vitest';
import { CaptureReader, createCaptureRing } from '../../../../src/gateway/capture/capture-ring.ts';
import { packetsIn } from '../../../../src/gateway/capture/captured-packet.ts';
import { PacketTap, type TapOptions } from '../../../../src/gateway/capture/packet-tap.ts';
import { allow, endpointOf, type Node, packet, World } from '../../../simulation/world.ts';

const A = { ip: [192, 0, 2, 1], port: 51_820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51_821 } as const;

let world: World;
let a: Node;
let b: Node;

beforeEach(() => {
  world = new World(1);
  a = world.node({ address: A });
  b = world.node({ address: B });
  a.configurePeers({
    publicKey: b.publicKey,
    endpoint: endpointOf(B)!,
    allowedIps: allow([10, 2, 0, 0], 16),
  });
  a.configurePeers({ publicKey: new Uint8Array(32).fill(9), allowedIps: allow([10, 3, 0, 0], 16) });
  b.configurePeers({ publicKey: a.publicKey, allowedIps: allow([10, 1, 0, 0], 16) });
  a.up();
  b.up();
});

/** Taps a node as the packet loop does. */
function tapped(node: Node, options: Partial<TapOptions> = {}): () => string[] {
  const ring = createCaptureRing(1 << 16);
  const all = { filter: undefined, peers: undefined, snaplen: 65_535 };
  const tap = new PacketTap(node.device, world.now, { ring, ...all, ...options });
  const { device } = node;
  const { handleOutbound, handleOpened } = device;
  device.handleOutbound = (v, now) => {
    handleOutbound.call(device, v, now);
    tap.outbound(v, now);
  };
  device.handleOpened = (v, now) => {
    handleOpened.call(device, v, now);
    tap.inbound(v, now);
  };
  const reader = new CaptureReader(ring);
  return () => {
    const records = reader.read(1 << 16);
    return [...packetsIn(records ?? new Uint8Array())].map(
      ({ direction, peer, path, verdict, length, bytes }) =>
        `${direction} ${peer} ${path ?? '-'} ${verdict} ${bytes.length}/${length} ${bytes[bytes.length - 1]}`,
    );
  };
}

function from(second: number, to: number, id: number): Uint8Array {
  return packet([10, second, 0, 1], [10, to, 0, 1], id, 44);
}

test('the first packet waits, the next are accepted, at both ends', () => {
  const [atA, atB] = [tapped(a), tapped(b)];
  a.send(from(1, 2, 1));
  expect(atA()).toEqual([expect.stringMatching(/^out 0 - waiting 64\/64/)]);
  world.run(100);
  expect(atB()).toEqual([expect.stringMatching(/^in 0 direct accepted 64\/64/)]);
  a.send(from(1, 2, 2), from(1, 2, 3), from(1, 2, 4));
  expect(atA()).toHaveLength(3);
  world.run(100);
  const seen = atB();
  expect(seen).toHaveLength(3);
  expect(new Set(seen.map((line) => line.split(' ')[3]))).toEqual(new Set(['accepted']));
  // Keepalives are no packets.
  world.run(60_000);
  expect([...atA(), ...atB()]).toEqual([]);
});

test('what is dropped, and for which reason', () => {
  const [atA, atB] = [tapped(a), tapped(b)];
  a.send(from(1, 2, 1));
  world.run(100);
  atA();
  atB();
  a.send(from(1, 4, 1));
  a.send(from(1, 3, 1));
  a.send(Uint8Array.from({ length: 64 }, () => 0x20));
  expect(atA()).toEqual([
    expect.stringMatching(/^out -1 - out_no_route /),
    expect.stringMatching(/^out 1 - out_no_endpoint /),
    expect.stringMatching(/^out -1 - out_malformed 64\/64 32/),
  ]);
  a.send(from(7, 2, 1));
  world.run(100);
  expect(atB()).toEqual([expect.stringMatching(/^in 0 direct in_source_not_allowed /)]);
  expect(b.drops.get('in_source_not_allowed')).toBe(1);
  b.device.configure({ destinations: allow([10, 2, 1, 0], 24), peers: [] }, world.now);
  a.send(from(1, 2, 1));
  world.run(100);
  expect(atB()).toEqual([expect.stringMatching(/^in 0 direct in_destination_not_own /)]);
  expect(b.drops.get('in_destination_not_own')).toBe(1);
});

test('only the peer, only what the filter means, only the first bytes', () => {
  const atA = tapped(a, { peers: [0], filter: 'net 10.2.0.0/24', snaplen: 30 });
  a.send(from(1, 2, 1));
  a.send(from(1, 3, 1));
  a.send(from(1, 4, 1));
  a.send(packet([10, 1, 0, 1], [10, 2, 9, 1], 1, 44));
  expect(atA()).toEqual([expect.stringMatching(/^out 0 - waiting 30\/64/)]);
});

test('what is too long for the path: cut packets are those that are sent, the others say so', () => {
  for (const [node, other, second] of [
    [a, b, 2],
    [b, a, 1],
  ] as const) {
    node.device.mtu = 1_420;
    node.configurePeers({
      publicKey: other.publicKey,
      pathFrames: true,
      allowedIps: allow([10, second, 0, 0], 16),
    });
  }
  // The way to b carries packets of 1,300 bytes.
  world.tap = ({ to, bytes }) => to[0]! >>> 16 !== B.port || bytes.length <= 1_332;
  a.send(from(1, 2, 1));
  world.run(5_000);
  const atA = tapped(a);
  const large = (length: number, dontFragment: boolean): Uint8Array => {
    const bytes = packet([10, 1, 0, 1], [10, 2, 0, 1], 5, length - 20);
    if (dontFragment) bytes[6] = 0x40;
    return bytes;
  };
  a.send(large(1_400, true), large(1_400, true), large(400, true));
  a.send(large(1_400, false));
  const words = atA().map((line) => line.split(' ').slice(3, 5).join(' '));
  expect(words).toEqual([
    'out_packet_too_big 1400/1400',
    'out_packet_too_big 1400/1400',
    'accepted 400/400',
    expect.stringMatching(/^accepted 12[89]\d\//),
    expect.stringMatching(/^accepted 1[123]\d\//),
  ]);
  expect(a.drops.get('out_packet_too_big')).toBe(2);
});
