/**
 * Peers that change their address or port: the other side follows authentic messages.
 *
 *      west                                                       east
 *   10.77.0.1 wg0 ── left ── eth0 10.9.0.1 ═ veth ═ 10.9.0.2 ── right ── wg0 10.77.0.2
 *                            then 10.9.0.3
 */
import { expect, test } from 'vitest';
import { reach } from '../../lab/ping.ts';
import { INNER, OUTER, PORT, TunnelPair } from '../../lab/tunnel-pair.ts';
import { interopSuite } from '../netns/suite.ts';

/** The commands that give a host another address. Its first address takes the others along. */
function moved(from: string, to: string): string[] {
  return [`address del ${from}/24 dev eth0`, `address add ${to}/24 dev eth0`];
}

interopSuite('roaming', (pairing) => {
  test('follows a new address', async () => {
    await using pair = await TunnelPair.open(pairing);
    await reach(pair.west, INNER.right);
    expect((await pair.rightPeer()).endpoint).toBe(`${OUTER.left}:${PORT}`);
    await pair.west.ip(...moved(OUTER.left, '10.9.0.3'));
    await reach(pair.west, INNER.right);
    expect((await pair.rightPeer()).endpoint).toBe(`10.9.0.3:${PORT}`);
    await reach(pair.east, INNER.left);
  });

  test('follows a new listen port, in both directions', async () => {
    await using pair = await TunnelPair.open(pairing);
    await reach(pair.west, INNER.right);
    await pair.left.set('listen-port', '1234');
    await reach(pair.west, INNER.right);
    expect((await pair.rightPeer()).endpoint).toBe(`${OUTER.left}:1234`);
    await pair.right.set('listen-port', '5678');
    await reach(pair.east, INNER.left);
    expect((await pair.leftPeer()).endpoint).toBe(`${OUTER.right}:5678`);
    expect(await pair.right.listenPort()).toBe(5678);
  });

  test('follows an endpoint that is set anew', async () => {
    await using pair = await TunnelPair.open(pairing);
    await pair.east.ip(...moved(OUTER.right, '10.9.0.4'));
    await pair.left.set('peer', pair.right.keys.publicKey, 'endpoint', `10.9.0.4:${PORT}`);
    await reach(pair.west, INNER.right);
    expect((await pair.leftPeer()).endpoint).toBe(`10.9.0.4:${PORT}`);
  });
});
