import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../../../src/bytes.ts';
import {
  AllowedIpRecords,
  packAllowedIps,
  unpackAllowedIps,
} from '../../../src/gateway/allowed-ip-records.ts';
import { TunnelError } from '../../../src/gateway/tunnel.ts';
import { TunnelConfiguration } from '../../../src/gateway/tunnel-configuration.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../../src/routing/prefix.ts';
import type { DeviceChange, PeerChange } from '../../../src/wireguard/configuration.ts';

const FIGURES = { listenPort: 0, drops: [], crypto: 'noble', offloads: [] } as const;
/** In place of X25519: every bit turned around. */
const publicKeyOf = (key: Uint8Array): Uint8Array => key.map((byte) => byte ^ 0xff);
const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const prefixes = (...texts: string[]): Uint8Array =>
  packAllowedIps(texts.map((text) => parsePrefix(text) as Prefix));

function apply(configuration: TunnelConfiguration, change: Partial<DeviceChange>): void {
  const whole = { peers: [], ...change };
  configuration.check(whole);
  configuration.apply(whole);
}

/** Peers by the first byte of their key, with their prefixes as text. */
function peersOf(configuration: TunnelConfiguration): [number, string[]][] {
  const { peers } = configuration.snapshot('wg0', FIGURES, () => undefined);
  return peers.map((peer) => [
    peer.publicKey[0]!,
    [...unpackAllowedIps(peer.allowedIps)].map(formatPrefix),
  ]);
}

describe('the model of the configuration', () => {
  test('keys are clamped, all zeros are none', () => {
    const configuration = new TunnelConfiguration(publicKeyOf);
    apply(configuration, { privateKey: key(0xff), fwmark: 9 });
    const snapshot = configuration.snapshot('wg0', FIGURES, () => undefined);
    expect(snapshot.privateKey?.[0]).toBe(0xf8);
    expect(snapshot.publicKey?.[0]).toBe(0x07);
    expect(snapshot.fwmark).toBe(9);
    apply(configuration, { listenPort: 4711 });
    const portOf = (bound: number): number =>
      configuration.snapshot('wg0', { ...FIGURES, listenPort: bound }, () => undefined).listenPort;
    expect([portOf(0), portOf(5)]).toEqual([4711, 5]);
    expect(`${snapshot.privateKey}`).toBe('[secret key]');
    apply(configuration, { privateKey: key(0) });
    expect(configuration.snapshot('wg0', FIGURES, () => undefined).privateKey).toBeUndefined();
  });

  test('a prefix belongs to the peer that got it last', () => {
    const configuration = new TunnelConfiguration(publicKeyOf);
    apply(configuration, {
      peers: [
        { publicKey: key(1), allowedIps: prefixes('10.0.0.0/8', '255.255.255.255', '::/0') },
        { publicKey: key(2), allowedIps: prefixes('10.0.0.0/8', 'ffff::/16') },
      ],
    });
    expect(peersOf(configuration)).toEqual([
      [1, ['255.255.255.255/32', '::/0']],
      [2, ['10.0.0.0/8', 'ffff::/16']],
    ]);
    apply(configuration, { peers: [{ publicKey: key(2), remove: true }] });
    expect(configuration.allowedIpCount).toBe(2);
  });

  test('a record of removal takes a prefix only from its own peer', () => {
    const configuration = new TunnelConfiguration(publicKeyOf);
    apply(configuration, { peers: [{ publicKey: key(1), allowedIps: prefixes('10.0.0.0/8') }] });
    const records = new AllowedIpRecords();
    records.remove(parsePrefix('10.0.0.0/8')!);
    apply(configuration, { peers: [{ publicKey: key(2), allowedIps: records.bytes() }] });
    expect(peersOf(configuration)[0]).toEqual([1, ['10.0.0.0/8']]);
    apply(configuration, { peers: [{ publicKey: key(1), allowedIps: records.bytes() }] });
    expect(peersOf(configuration)[0]).toEqual([1, []]);
  });

  test('update-only makes no peer, and the own key is none', () => {
    const configuration = new TunnelConfiguration(publicKeyOf);
    apply(configuration, { peers: [{ publicKey: key(1), updateOnly: true }] });
    expect(configuration.peerCount).toBe(0);
    apply(configuration, { privateKey: key(0x40) });
    apply(configuration, { peers: [{ publicKey: key(0xbf) }] });
    expect(configuration.peerCount).toBe(0);
    const later = new TunnelConfiguration(publicKeyOf);
    apply(later, { peers: [{ publicKey: key(0xbf), allowedIps: prefixes('::/0') }] });
    apply(later, { privateKey: key(0x40) });
    expect([later.peerCount, later.allowedIpCount]).toEqual([0, 0]);
  });

  test.each<[string, Partial<DeviceChange>]>([
    ['private key', { privateKey: new Uint8Array(31) }],
    ['port', { listenPort: 65_536 }],
    ['port', { listenPort: 1.5 }],
    ['mark', { fwmark: -1 }],
    ['public key', { peers: [{ publicKey: new Uint8Array(33) }] }],
    ['preshared key', { peers: [{ publicKey: key(1), presharedKey: new Uint8Array(1) }] }],
    ['keepalive', { peers: [{ publicKey: key(1), persistentKeepalive: Number.NaN }] }],
    ['records', { peers: [{ publicKey: key(1), allowedIps: new Uint8Array(19) }] }],
    ['family', { peers: [{ publicKey: key(1), allowedIps: new Uint8Array(20) }] }],
  ])('a wrong %s is EINVAL', (_, change) => {
    const configuration = new TunnelConfiguration(publicKeyOf);
    expect(() => configuration.check({ peers: [], ...change })).toThrow(TunnelError);
  });

  test('host bits in a record are EINVAL: two keys for one prefix', () => {
    const records = prefixes('10.0.0.0/9');
    records[5] = 0x40;
    const configuration = new TunnelConfiguration(publicKeyOf);
    const change = { peers: [{ publicKey: key(1), allowedIps: records }] };
    expect(() => configuration.check(change)).toThrow(/malformed/);
  });

  test('more than a device takes is ENOSPC, exactly there', () => {
    const configuration = new TunnelConfiguration(publicKeyOf, { peers: 3, allowedIps: 2 });
    apply(configuration, {
      peers: [{ publicKey: key(1), allowedIps: prefixes('10.0.0.0/8', 'fd00::/8') }],
    });
    const more = { publicKey: key(2), allowedIps: prefixes('::/0') };
    expect(() => configuration.check({ peers: [more] })).toThrow(/more than 2 allowed IPs/);
    // The same prefix again, or one that is replaced, is no more than before.
    configuration.check({ peers: [{ publicKey: key(2), allowedIps: prefixes('10.0.0.0/8') }] });
    configuration.check({ peers: [{ ...more, publicKey: key(1), replaceAllowedIps: true }] });
    configuration.check({ replacePeers: true, peers: [more] });
    const peers = [2, 3, 4].map((n): PeerChange => ({ publicKey: key(n) }));
    expect(() => configuration.check({ peers })).toThrow(/more than 3 peers/);
    configuration.check({ peers: peers.slice(1) });
    configuration.check({ peers: [{ publicKey: key(1), remove: true }, ...peers] });
    configuration.check({ replacePeers: true, peers });
    expect(configuration.peerCount).toBe(1);
  });

  test('agrees with a naive model under random changes', () => {
    const texts = [
      '0.0.0.0/0',
      '10.0.0.0/8',
      '10.1.0.0/16',
      '10.1.2.3/32',
      '::/0',
      'fd00::/8',
      '::1/128',
    ];
    const peer = fc.record({
      id: fc.integer({ min: 1, max: 4 }),
      action: fc.constantFrom('remove', 'update', 'replace', 'add'),
      texts: fc.array(fc.constantFrom(...texts), { maxLength: 4 }),
    });
    const change = fc.record({
      replacePeers: fc.boolean(),
      peers: fc.array(peer, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const configuration = new TunnelConfiguration(publicKeyOf);
        const naive = new Map<number, string[]>();
        for (const { replacePeers, peers } of changes) {
          apply(configuration, {
            replacePeers: replacePeers && peers.length > 2,
            peers: peers.map(({ id, action, texts }) => ({
              publicKey: key(id),
              remove: action === 'remove',
              updateOnly: action === 'update',
              replaceAllowedIps: action === 'replace',
              allowedIps: prefixes(...texts),
            })),
          });
          if (replacePeers && peers.length > 2) naive.clear();
          for (const { id, action, texts } of peers) {
            if (action === 'remove') naive.delete(id);
            else if (action !== 'update' || naive.has(id)) {
              let own = action === 'replace' ? [] : (naive.get(id) ?? []);
              naive.set(id, own);
              for (const text of texts) {
                for (const [other, list] of naive) {
                  if (other !== id)
                    naive.set(
                      other,
                      list.filter((held) => held !== text),
                    );
                }
                if (!own.includes(text)) own = [...own, text];
                naive.set(id, own);
              }
            }
          }
          expect(peersOf(configuration)).toEqual([...naive]);
        }
      }),
    );
  });

  test('statistics come from outside, the endpoint with them', () => {
    const configuration = new TunnelConfiguration(publicKeyOf);
    const endpoint = { family: 4, address: Uint8Array.of(1, 2, 3, 4), port: 5, scope: 0 } as const;
    apply(configuration, { peers: [{ publicKey: key(1), endpoint }] });
    const before = configuration.snapshot('wg0', FIGURES, () => undefined);
    expect(before.peers[0]).toMatchObject({ endpoint, rxBytes: 0, lastHandshake: 0 });
    const live = { endpoint: undefined, lastHandshake: 5, rxBytes: 6, txBytes: 7 };
    const after = configuration.snapshot('wg0', FIGURES, (publicKey) =>
      bytesToHex(publicKey).startsWith('01') ? live : undefined,
    );
    expect(after.peers[0]).toMatchObject(live);
  });
});
