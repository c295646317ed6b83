/**
 * A tunnel with the stock implementation in each role. Only the left side knows where the other one
 * is, so the left side is the initiator.
 *
 *      west                                             east
 *   10.77.0.1 wg0 ── left ── eth0 ═══ veth ═══ eth0 ── right ── wg0 10.77.0.2
 *   fd77::1              10.9.0.1           10.9.0.2                fd77::2
 *                        fd09::1            fd09::2
 */
import { expect, test } from 'vitest';
import { generatePresharedKey } from '../../lab/keys.ts';
import { isSilent, ping, reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import {
  INNER,
  INNER6,
  OUTER,
  OUTER6,
  type PairSettings,
  PORT,
  TunnelPair,
} from '../../lab/tunnel-pair.ts';
import { interopSuite } from '../netns/suite.ts';

/** Sizes around the borders of padding, of one packet and of inner fragmentation. */
const SIZES = [1, 15, 16, 17, 1_391, 1_392, 1_393, 2_784, 9_000, 32_768, 65_507];

interopSuite('tunnel', (pairing) => {
  const initiating: PairSettings = { ...pairing, endpoints: 'left' };

  test('carries ping, TCP and UDP of every size, IPv4 and IPv6', async () => {
    await using pair = await TunnelPair.open(initiating);
    await reach(pair.west, INNER.right);
    expect(await ping(pair.east, INNER6.left, 20)).toHaveLength(20);
    await startService(pair.east, 7);
    for (const address of [INNER.right, INNER6.right]) {
      const client = new ServiceClient(pair.west, address, 7);
      await client.echo(2_000_000);
      // 65,507 is the largest UDP payload over IPv4, 65,527 over IPv6.
      await client.datagrams(...SIZES);
    }
  });

  test('learns the initiator’s endpoint and counts both directions alike', async () => {
    await using pair = await TunnelPair.open(initiating);
    expect((await pair.rightPeer()).endpoint).toBe('(none)');
    await reach(pair.west, INNER.right);
    // 84 bytes of payload make a packet that needs no padding, which not everybody counts.
    expect(await ping(pair.west, INNER.right, 20, 0.01, 84)).toHaveLength(20);
    const [left, right] = [await pair.leftPeer(), await pair.rightPeer()];
    expect(right.endpoint).toBe(`${OUTER.left}:${PORT}`);
    expect(Math.abs(left.latestHandshake - Date.now() / 1000)).toBeLessThan(10);
    // 148 and 92 bytes of handshake, 21 probes of 112 bytes and 32 of overhead, one keepalive.
    expect(left.sent).toBeGreaterThanOrEqual(148 + 20 * 144);
    expect(left.received).toBeGreaterThanOrEqual(92 + 20 * 144);
    expect(Math.abs(left.sent - right.received)).toBeLessThanOrEqual(64);
    expect(Math.abs(left.received - right.sent)).toBeLessThanOrEqual(64);
  });

  test('works over IPv6', async () => {
    await using pair = await TunnelPair.open({ ...initiating, underlay: 6 });
    await reach(pair.west, INNER6.right);
    expect((await pair.rightPeer()).endpoint).toBe(`[${OUTER6.left}]:${PORT}`);
    expect(await ping(pair.east, INNER.left, 20)).toHaveLength(20);
  });

  test('needs the same preshared key on both sides', async () => {
    await using pair = await TunnelPair.open({
      ...initiating,
      presharedKey: generatePresharedKey(),
    });
    await reach(pair.west, INNER.right);
    await using other = await TunnelPair.open({
      ...initiating,
      presharedKey: generatePresharedKey(),
    });
    const right = other.east.file('psk', generatePresharedKey());
    await other.right.set('peer', other.left.keys.publicKey, 'preshared-key', right);
    expect(await isSilent(other.west, INNER.right)).toBe(true);
    expect((await other.leftPeer()).latestHandshake).toBe(0);
  });

  test('shakes hands again when the first initiation is lost', async () => {
    await using pair = await TunnelPair.open(initiating);
    await pair.east.nft(`
      table inet loss {
        chain input {
          type filter hook input priority 0
          udp dport ${PORT} limit rate 1/hour burst 1 packets drop
        }
      }`);
    // REKEY_TIMEOUT is 5 seconds.
    await reach(pair.west, INNER.right, 8);
  });
});
