import { describe, expect, it } from 'vitest';
import { DROP_REASON_NAMES } from '../../../src/drops.ts';
import { CausewayError } from '../../../src/errors.ts';
import { SLOT_DROPPED } from '../../../src/vector.ts';
import type { DeviceChange, PeerChange } from '../../../src/wireguard/configuration.ts';
import { paddedLength } from '../../../src/wireguard/outbound-messages.ts';
import { createPeerFigures } from '../../../src/wireguard/peer-statistics.ts';
import { allow, endpointOf, packet, World } from '../../simulation/world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;

function key(n: number): Uint8Array {
  return new Uint8Array(32).fill(n);
}

function node(maxPeers = 4) {
  const world = new World(1);
  return { world, a: world.node({ address: A, maxPeers }) };
}

/** Which peer number a packet to this address would go to, by the drop it causes. */
function routed(a: ReturnType<typeof node>['a'], ip: number[]): boolean {
  const before = a.drops.get('out_no_route');
  a.send(packet([10, 9, 9, 9], ip, 1));
  return a.drops.get('out_no_route') === before;
}

describe('configure', () => {
  const bad: [string, Partial<DeviceChange>][] = [
    ['a private key of 31 bytes', { privateKey: new Uint8Array(31) }],
    ['a public key of 33 bytes', { peers: [{ publicKey: new Uint8Array(33) }] }],
    ['a preshared key of 0 bytes', peer({ presharedKey: new Uint8Array(0) })],
    ['a keepalive of 65,536 s', peer({ persistentKeepalive: 65_536 })],
    ['a keepalive of -1 s', peer({ persistentKeepalive: -1 })],
    ['a keepalive that is no number', peer({ persistentKeepalive: Number.NaN })],
    ['allowed IPs cut off', peer({ allowedIps: new Uint8Array(19) })],
    [
      'an allowed IP of a strange family',
      peer({ allowedIps: Uint8Array.of(0, 5, ...key(0)).slice(0, 20) }),
    ],
    ['a prefix of IPv4 longer than 32', peer({ allowedIps: allow([10, 0, 0, 0], 33) })],
    [
      'an endpoint with a short address',
      peer({ endpoint: { family: 6, address: new Uint8Array(4), port: 1, scope: 0 } }),
    ],
    [
      'an endpoint with port 65,536',
      peer({ endpoint: { family: 4, address: new Uint8Array(4), port: 65_536, scope: 0 } }),
    ],
    [
      'more peers than there is room for',
      { peers: [1, 2, 3, 4, 5].map((n) => ({ publicKey: key(n) })) },
    ],
  ];

  function peer(change: Partial<PeerChange>): Partial<DeviceChange> {
    return {
      peers: [
        { publicKey: key(8), allowedIps: allow([10, 8, 0, 0], 16) },
        { publicKey: key(9), ...change },
      ],
    };
  }

  it.each(bad)('refuses %s and changes nothing', (_, change) => {
    const { world, a } = node();
    expect(() => a.device.configure({ peers: [], ...change }, world.now)).toThrow(CausewayError);
    expect(a.device.peerCount).toBe(0);
    expect(routed(a, [10, 8, 0, 1])).toBe(false);
  });

  it('counts the peers that a change adds, removes and replaces before it applies it', () => {
    const { a } = node(2);
    a.configurePeers({ publicKey: key(1) }, { publicKey: key(2) });
    expect(() => a.configurePeers({ publicKey: key(3) })).toThrow('more than 2 peers');
    expect(() =>
      a.configurePeers({ publicKey: key(3) }, { publicKey: key(1), remove: true }),
    ).toThrow('more than 2 peers');
    a.configurePeers(
      { publicKey: key(1), remove: true },
      { publicKey: key(3) },
      { publicKey: key(4), updateOnly: true },
      { publicKey: key(5), remove: true },
    );
    expect(a.device.peerCount).toBe(2);
    a.device.configure(
      { replacePeers: true, peers: [{ publicKey: key(6) }, { publicKey: key(7) }] },
      a.world.now,
    );
    expect(a.device.peerCount).toBe(2);
  });

  it('gives numbers of removed peers to new ones, without their endpoint or figures', () => {
    const { a } = node(2);
    const endpoint = endpointOf({ ip: [1, 2, 3, 4], port: 5 })!;
    a.configurePeers({ publicKey: key(1), endpoint });
    const hex = '01'.repeat(32);
    const number = a.device.peerNumber(hex);
    expect(a.device.peerKey(number)).toEqual(key(1));
    a.configurePeers({ publicKey: key(1), remove: true }, { publicKey: key(2) });
    expect(a.device.peerNumber(hex)).toBe(-1);
    expect(a.device.peerNumber('02'.repeat(32))).toBe(number);
    const figures = createPeerFigures();
    a.statistics.read(number, figures);
    expect(figures).toEqual(createPeerFigures());
    expect(a.endpoints.words[number * 12]).toBe(0);
  });

  it('ignores a peer with our own key, and removes it when the key becomes ours', () => {
    const { world, a } = node();
    a.configurePeers({ publicKey: a.publicKey });
    expect(a.device.peerCount).toBe(0);
    const other = world.node({ address: { ip: [1, 1, 1, 1], port: 1 } });
    a.configurePeers({ publicKey: other.publicKey });
    expect(a.device.peerCount).toBe(1);
    a.device.configure({ privateKey: other.privateKey, peers: [] }, world.now);
    expect(a.device.peerCount).toBe(0);
    expect(a.device.publicKey).toEqual(other.publicKey);
  });

  it('adds, replaces and removes allowed IPs in order', () => {
    const { a } = node();
    const endpoint = endpointOf({ ip: [1, 2, 3, 4], port: 5 })!;
    const two = new Uint8Array([...allow([10, 1, 0, 0], 16), ...allow([10, 2, 0, 0], 16)]);
    a.configurePeers({ publicKey: key(1), endpoint, allowedIps: two });
    expect([routed(a, [10, 1, 0, 1]), routed(a, [10, 2, 0, 1])]).toEqual([true, true]);
    a.configurePeers({ publicKey: key(1), allowedIps: allow([10, 1, 0, 0], 16, true) });
    expect([routed(a, [10, 1, 0, 1]), routed(a, [10, 2, 0, 1])]).toEqual([false, true]);
    // Not this peer's to remove.
    a.configurePeers({ publicKey: key(2), allowedIps: allow([10, 2, 0, 0], 16, true) });
    expect(routed(a, [10, 2, 0, 1])).toBe(true);
    a.configurePeers({
      publicKey: key(1),
      replaceAllowedIps: true,
      allowedIps: allow([10, 3, 0, 0], 16),
    });
    expect([routed(a, [10, 2, 0, 1]), routed(a, [10, 3, 0, 1])]).toEqual([false, true]);
    a.configurePeers({ publicKey: key(1), remove: true });
    expect(routed(a, [10, 3, 0, 1])).toBe(false);
  });

  it('drops packets of a peer without an endpoint', () => {
    const { a } = node();
    a.configurePeers({ publicKey: key(1), allowedIps: allow([10, 1, 0, 0], 16) });
    a.up();
    a.send(packet([10, 9, 9, 9], [10, 1, 0, 1], 1));
    expect(a.drops.entries()).toEqual([['out_no_endpoint', 1]]);
    // Whose it was, and why, stays in the vector.
    const reason = DROP_REASON_NAMES[SLOT_DROPPED - a.out.slot[0]!];
    expect([reason, a.out.endpoint[0]]).toEqual(['out_no_endpoint', 0]);
    expect(a.sent).toEqual([]);
  });

  it('starts a handshake at once when an endpoint comes while one was going nowhere', () => {
    const { world, a } = node();
    a.configurePeers({ publicKey: key(9), persistentKeepalive: 25 });
    a.up();
    expect(a.sent).toEqual([]);
    world.run(1_000);
    a.configurePeers({ publicKey: key(9), endpoint: endpointOf({ ip: [1, 2, 3, 4], port: 5 })! });
    expect(a.sent.map((s) => s.type)).toEqual([1]);
  });
});

describe('paddedLength', () => {
  it('rounds up to 16 but not beyond the MTU, as wireguard-go’s calculatePaddingSize', () => {
    for (const [length, mtu, expected] of [
      [0, 1_420, 0],
      [1, 1_420, 16],
      [16, 1_420, 16],
      [17, 1_420, 32],
      [1_408, 1_420, 1_408],
      [1_409, 1_420, 1_420],
      [1_420, 1_420, 1_420],
      [1_421, 1_420, 1_436],
      [2_839, 1_420, 2_840],
      [2_840, 1_420, 2_840],
      [1_500, 0, 1_504],
      [65_535, 65_535, 65_535],
      [1_400, 576, 1_408],
    ] as const) {
      expect(paddedLength(length, mtu), `${length} of ${mtu}`).toBe(expected);
    }
  });
});
